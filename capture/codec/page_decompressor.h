// The other direction: a stored page of a kdump file back to its bytes. Input is untrusted.
// One PageDecompressor per thread; it owns the library's context.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

struct ZSTD_DCtx_s;

namespace dw {

class PageDecompressor {
 public:
  static Result<PageDecompressor> create();
  PageDecompressor(PageDecompressor&& other) noexcept;
  PageDecompressor& operator=(PageDecompressor&&) = delete;
  PageDecompressor(const PageDecompressor&) = delete;
  PageDecompressor& operator=(const PageDecompressor&) = delete;
  ~PageDecompressor();

  // One zstd frame to exactly one page. Error kBadInput if it is damaged or of another size.
  Status decompress_zstd(Bytes stored, MutableBytes page);

 private:
  PageDecompressor() = default;

  ZSTD_DCtx_s* context_ = nullptr;
};

}  // namespace dw
