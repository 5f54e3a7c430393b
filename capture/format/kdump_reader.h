// Reads the pages of a kdump file. One KdumpReader per thread; it owns the buffers and the
// decompressor, and shares the KdumpFile.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/codec/page_decompressor.h"
#include "capture/format/kdump_file.h"
#include "capture/format/kdump_format.h"

namespace dw {

// What a walk over bitmaps and descriptors finds. Pages, unless the name says bytes.
struct KdumpSummary {
  uint64_t ram = 0;      // set in the first bitmap
  uint64_t kept = 0;     // set in the second
  uint64_t stored = 0;   // have a descriptor of their own
  uint64_t shared = 0;   // share the page that the lowest descriptor points to (zero pages)
  uint64_t missing = 0;  // kept, but never written, or cut off
  uint64_t damaged = 0;  // the descriptor makes no sense
  uint64_t stored_bytes = 0;
};

class KdumpReader {
 public:
  // Of one call of read_pages().
  static constexpr unsigned kMaxRun = 64;

  // Whether the file starts with the kdump signature.
  static Result<bool> recognizes(const FileView& file);

  // A kdump file as it is. Errors as KdumpFile::open().
  static Result<KdumpReader> open(ReadableFile file);
  // One more reader of a file.
  static Result<KdumpReader> create(std::shared_ptr<const KdumpFile> file);

  [[nodiscard]] const std::shared_ptr<const KdumpFile>& file() const { return file_; }
  [[nodiscard]] const KdumpHeader& header() const { return file_->header(); }
  [[nodiscard]] const KdumpSubHeader& sub_header() const { return file_->sub_header(); }
  [[nodiscard]] const KdumpLayout& layout() const { return file_->layout(); }
  [[nodiscard]] Bytes notes() const { return file_->notes(); }
  [[nodiscard]] std::string_view vmcoreinfo() const { return file_->vmcoreinfo(); }
  [[nodiscard]] bool incomplete() const { return file_->incomplete(); }
  [[nodiscard]] uint64_t max_mapnr() const { return file_->max_mapnr(); }

  Result<KdumpSummary> summarize();

  // Bits of the first or the second bitmap from `first_pfn` (a multiple of 8) on, least significant
  // first; clear where the file has none.
  Status read_present_bits(uint64_t first_pfn, MutableBytes bits);
  Status read_kept_bits(uint64_t first_pfn, MutableBytes bits);

  enum class PageFate : uint8_t { kRead, kExcluded, kMissing };
  // Reads page `pfn` into `page` (one block). kExcluded: not in the second bitmap. Errors tell the
  // pfn (as their subject) and the file's offset.
  Result<PageFate> read_page(uint64_t pfn, MutableBytes page);

  // Reads `count` pages (1..kMaxRun, within 256 aligned ones) into `pages`. Bit i of the result:
  // page i was read; the others are excluded or missing. The first damaged page is an error, as in
  // read_page().
  Result<uint64_t> read_pages(uint64_t first_pfn, unsigned count, MutableBytes pages);

  // Reads the descriptors of the kept ones of `count` pages, as above, one after another; returns a
  // bit for each of the pages that are kept.
  Result<uint64_t> read_descriptors(uint64_t first_pfn, unsigned count,
                                    std::span<PageDescriptor> descriptors);

  // Memory of one reader of `file`, in bytes.
  [[nodiscard]] static size_t memory_bytes(const KdumpFile& file);

 private:
  // Pages whose data stands in one piece of the file.
  struct Piece {
    size_t begin;  // of descriptors_
    size_t count;
    uint64_t bytes;
  };

  KdumpReader(std::shared_ptr<const KdumpFile> file, std::unique_ptr<ByteReader> bytes,
              PageDecompressor decompressor);

  Status load_bitmap_block(uint64_t index);
  Status read_bits(uint64_t bitmap_offset, uint64_t first_pfn, MutableBytes bits);
  [[nodiscard]] uint64_t rank_of(uint64_t pfn) const;
  [[nodiscard]] Piece next_piece(size_t begin, size_t end) const;
  Status read_piece(const Piece& piece, std::span<const uint8_t> places, uint64_t first_pfn,
                    MutableBytes pages, uint64_t& read);
  Status read_singly(const Piece& piece, std::span<const uint8_t> places, uint64_t first_pfn,
                     MutableBytes pages, uint64_t& read);
  Status decode(const PageDescriptor& descriptor, Bytes stored, MutableBytes page);
  [[nodiscard]] Error failed(const Error& error, uint64_t pfn, uint64_t offset) const;

  std::shared_ptr<const KdumpFile> file_;
  std::unique_ptr<ByteReader> bytes_;
  PageDecompressor decompressor_;
  std::vector<std::byte> bitmap_block_;  // of the second bitmap, number bitmap_index_
  uint64_t bitmap_index_ = ~uint64_t{0};
  std::array<PageDescriptor, kMaxRun> descriptors_{};
  std::vector<std::byte> stored_;
};

}  // namespace dw
