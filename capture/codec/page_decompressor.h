// The other direction: a stored page of a kdump file back to its bytes. Input is untrusted.
// One PageDecompressor per thread; it owns the libraries' contexts and allocates nothing later.
#pragma once

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"

struct ZSTD_DCtx_s;
struct libdeflate_decompressor;

namespace dw {

class PageDecompressor {
 public:
  static Result<PageDecompressor> create();
  // What create() allocates at the most, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return 256 << 10; }

  // One zstd frame, or one zlib stream, to exactly one page. Error kBadInput if it is damaged, of
  // another size, or followed by anything.
  Status decompress_zstd(Bytes stored, MutableBytes page);
  Status decompress_zlib(Bytes stored, MutableBytes page);

 private:
  PageDecompressor() = default;

  Buffer zstd_workspace_;
  Buffer zlib_workspace_;
  ZSTD_DCtx_s* zstd_ = nullptr;
  libdeflate_decompressor* zlib_ = nullptr;
};

}  // namespace dw
