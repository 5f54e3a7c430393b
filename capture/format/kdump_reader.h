// Reads kdump files: ours, makedumpfile's, and damaged or cut ones. Everything in them is
// untrusted.
//
// Thread safety: one thread. Owns the descriptor it was opened with.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/codec/page_decompressor.h"
#include "capture/format/kdump_format.h"

namespace dw {

// What a walk over bitmaps and descriptors finds. Pages, unless the name says bytes.
struct KdumpSummary {
  uint64_t ram = 0;      // set in the first bitmap
  uint64_t kept = 0;     // set in the second
  uint64_t stored = 0;   // have a descriptor of their own
  uint64_t shared = 0;   // share the page that the lowest descriptor points to (zero pages)
  uint64_t missing = 0;  // kept, but the descriptor is all zero
  uint64_t damaged = 0;  // the descriptor points outside the file, or makes no sense
  uint64_t stored_bytes = 0;
};

class KdumpReader {
 public:
  // Whether the file starts with the kdump signature.
  static Result<bool> recognizes(int fd);

  // Reads headers and notes and counts the second bitmap. Errors kBadInput and kUnsupported, with
  // the offset.
  static Result<KdumpReader> open(Fd fd);

  [[nodiscard]] const KdumpHeader& header() const { return header_; }
  [[nodiscard]] const KdumpSubHeader& sub_header() const { return sub_header_; }
  [[nodiscard]] const KdumpLayout& layout() const { return layout_; }
  [[nodiscard]] Bytes notes() const { return notes_; }
  // VMCOREINFO's text; empty if there is none.
  [[nodiscard]] std::string_view vmcoreinfo() const {
    return {reinterpret_cast<const char*>(vmcoreinfo_.data()), vmcoreinfo_.size()};
  }
  [[nodiscard]] bool incomplete() const { return (header_.status & kStatusIncomplete) != 0; }
  [[nodiscard]] uint64_t file_size() const { return file_size_; }
  [[nodiscard]] uint64_t max_mapnr() const { return max_mapnr_; }

  Result<KdumpSummary> summarize();

  enum class PageFate : uint8_t { kRead, kExcluded, kMissing };
  // Reads page `pfn` into `page` (one block). kExcluded: not in the second bitmap.
  Result<PageFate> read_page(uint64_t pfn, MutableBytes page);

 private:
  KdumpReader() = default;

  Status read_headers();
  Status check_headers();
  Status read_notes();
  Status count_second_bitmap();
  [[nodiscard]] bool is_valid(const PageDescriptor& descriptor) const;
  Status read_stored(const PageDescriptor& descriptor, MutableBytes page);

  Fd fd_;
  uint64_t file_size_ = 0;
  KdumpHeader header_{};
  KdumpSubHeader sub_header_{};
  KdumpLayout layout_{};
  uint64_t max_mapnr_ = 0;
  std::vector<std::byte> notes_;
  std::vector<std::byte> vmcoreinfo_;
  std::vector<uint64_t> rank_base_;  // kept pages before each bitmap block
  std::optional<PageDecompressor> decompressor_;
};

}  // namespace dw
