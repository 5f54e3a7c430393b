// A kdump file that is being read: its headers, its notes and where its descriptors stand. Ours,
// makedumpfile's, and damaged or cut ones; everything in them is untrusted.
//
// Thread safety: immutable after open(); shared by the KdumpReaders of all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/kdump_format.h"

namespace dw {

class KdumpFile {
 public:
  // Reads headers and notes and counts the second bitmap. Errors kBadInput and kUnsupported, with
  // the file's offset.
  static Result<std::shared_ptr<const KdumpFile>> open(std::unique_ptr<ByteSource> source);

  [[nodiscard]] const KdumpHeader& header() const { return header_; }
  [[nodiscard]] const KdumpSubHeader& sub_header() const { return sub_header_; }
  [[nodiscard]] const KdumpLayout& layout() const { return layout_; }
  [[nodiscard]] Bytes notes() const { return notes_; }
  // VMCOREINFO's text; empty if there is none.
  [[nodiscard]] std::string_view vmcoreinfo() const {
    return {reinterpret_cast<const char*>(vmcoreinfo_.data()), vmcoreinfo_.size()};
  }
  // Whether the file does not claim to be whole.
  [[nodiscard]] bool incomplete() const;
  [[nodiscard]] uint64_t max_mapnr() const { return max_mapnr_; }
  [[nodiscard]] const ByteSource& source() const { return *source_; }

  // Kept pages before the bitmap block (one block of the file) with this index.
  [[nodiscard]] uint64_t rank_base(uint64_t bitmap_block) const { return rank_base_[bitmap_block]; }
  // Reads a block of a bitmap. Bits beyond the last page frame are cleared.
  Status read_bitmap_block(ByteReader& reader, uint64_t bitmap_offset, uint64_t index,
                           MutableBytes block) const;

  enum class PageState : uint8_t {
    kStored,
    kMissing,  // was not written, or lies beyond where the file was cut
    kDamaged,  // the descriptor makes no sense
  };
  [[nodiscard]] PageState state_of(const PageDescriptor& descriptor) const;

  // Reads descriptors from `rank` on. Those that the file does not have are all zero.
  Status read_descriptors(ByteReader& reader, uint64_t rank,
                          std::span<PageDescriptor> descriptors) const;

 private:
  KdumpFile() = default;

  Error bad(const char* what, uint64_t offset) const;
  Status read_headers(ByteReader& reader);
  Status check_headers();
  Status place_parts();
  Status read_notes(ByteReader& reader);
  Status count_second_bitmap(ByteReader& reader);

  std::unique_ptr<ByteSource> source_;
  KdumpHeader header_{};
  KdumpSubHeader sub_header_{};
  KdumpLayout layout_{};
  uint64_t max_mapnr_ = 0;
  std::vector<std::byte> notes_;
  std::vector<std::byte> vmcoreinfo_;
  std::vector<uint64_t> rank_base_;
};

}  // namespace dw
