#include "capture/format/kdump_file.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint64_t kMaxNotes = 16 << 20;
// 1 PiB of memory in pages of 4 KiB.
constexpr uint64_t kMaxBitmapBytes = uint64_t{1} << 35;

template <typename T>
Status read_into(ByteReader& reader, uint64_t offset, T& value) {
  return reader.read_exact(std::as_writable_bytes(std::span(&value, 1)), offset);
}

uint64_t count_set_bits(Bytes bitmap) {
  uint64_t count = 0;
  for (size_t at = 0; at + 8 <= bitmap.size(); at += 8)
    count += static_cast<uint64_t>(std::popcount(load<uint64_t>(bitmap, at)));
  return count;
}

void clear_bits_from(MutableBytes bits, uint64_t first) {
  if (first >= bits.size() * 8) return;
  bits[first / 8] &= static_cast<std::byte>((1U << (first % 8)) - 1);
  std::ranges::fill(bits.subspan(first / 8 + 1), std::byte{0});
}

}  // namespace

Result<std::shared_ptr<const KdumpFile>> KdumpFile::open(std::unique_ptr<ByteSource> source) {
  std::shared_ptr<KdumpFile> file(new KdumpFile());
  file->source_ = std::move(source);
  DW_ASSIGN(std::unique_ptr<ByteReader> reader, file->source_->open_reader());
  DW_TRY(file->read_headers(*reader));
  DW_TRY(file->check_headers());
  DW_TRY(file->place_parts());
  DW_TRY(file->read_notes(*reader));
  DW_TRY(file->count_second_bitmap(*reader));
  return std::shared_ptr<const KdumpFile>(std::move(file));
}

Error KdumpFile::bad(const char* what, uint64_t offset) const {
  return Error(ErrorKind::kBadInput, what)
      .at(Where::kOffset, source_->file_offset(offset))
      .hint("the dump is cut or damaged; copy it again from where it was");
}

bool KdumpFile::incomplete() const {
  switch (source_->ending()) {
    case Ending::kUnsaid:
      break;
    case Ending::kCut:
    case Ending::kPartial:
      return true;
    case Ending::kWhole:
      return false;
  }
  return (header_.status & kStatusIncomplete) != 0;
}

Status KdumpFile::read_headers(ByteReader& reader) {
  if (!source_->covers(0, sizeof(KdumpHeader)))
    return bad("too short for a kdump header", source_->size());
  DW_TRY(read_into(reader, 0, header_));
  if (std::memcmp(header_.signature, kKdumpSignature, sizeof(kKdumpSignature)) != 0)
    return Error(ErrorKind::kBadInput, "not a kdump file");
  if (header_.version < kKdumpVersion)
    return Error(ErrorKind::kUnsupported, "a kdump file older than header version 6");
  if (header_.block_size < 4096 || header_.block_size > 65536 ||
      !std::has_single_bit(static_cast<uint32_t>(header_.block_size)))
    return bad("an impossible block size", offsetof(KdumpHeader, block_size));
  uint64_t block = static_cast<uint64_t>(header_.block_size);
  if (!source_->covers(block, sizeof(KdumpSubHeader)))
    return bad("the file ends inside the headers", source_->size());
  return read_into(reader, block, sub_header_);
}

Status KdumpFile::check_headers() {
  if (header_.sub_header_blocks < 1)
    return bad("an impossible sub header size", offsetof(KdumpHeader, sub_header_blocks));
  if (sub_header_.split != 0)
    return Error(ErrorKind::kUnsupported, "one part of a dump that was split")
        .hint("join the parts with makedumpfile --reassemble");
  return {};
}

Status KdumpFile::place_parts() {
  uint64_t block = static_cast<uint64_t>(header_.block_size);
  max_mapnr_ = std::max<uint64_t>(sub_header_.max_mapnr_64, header_.max_mapnr);
  layout_.block_size = block;
  layout_.sub_header_offset = block;
  layout_.notes_offset = sub_header_.notes_offset;
  layout_.notes_size = sub_header_.notes_size;
  layout_.first_bitmap_offset = block * (1 + static_cast<uint64_t>(header_.sub_header_blocks));
  layout_.bitmap_size = header_.bitmap_blocks / 2 * block;
  layout_.second_bitmap_offset = layout_.first_bitmap_offset + layout_.bitmap_size;
  layout_.descriptors_offset = layout_.second_bitmap_offset + layout_.bitmap_size;
  if (!source_->covers(layout_.first_bitmap_offset, 2 * layout_.bitmap_size))
    return bad("the file ends inside the bitmaps", source_->size());
  if (layout_.bitmap_size > kMaxBitmapBytes)
    return bad("an impossible bitmap size", offsetof(KdumpHeader, bitmap_blocks));
  if (max_mapnr_ > layout_.bitmap_size * 8)
    return bad("the bitmaps are shorter than the memory they describe",
               offsetof(KdumpHeader, bitmap_blocks));
  return {};
}

Status KdumpFile::read_notes(ByteReader& reader) {
  if (layout_.notes_size > kMaxNotes || !source_->covers(layout_.notes_offset, layout_.notes_size))
    return bad("the ELF notes lie outside the file", layout_.sub_header_offset);
  notes_.resize(layout_.notes_size);
  DW_TRY(reader.read_exact(notes_, layout_.notes_offset));
  uint64_t size = sub_header_.vmcoreinfo_size;
  if (size == 0) return {};
  if (size > kMaxNotes || !source_->covers(sub_header_.vmcoreinfo_offset, size))
    return bad("VMCOREINFO lies outside the file", layout_.sub_header_offset);
  vmcoreinfo_.resize(size);
  return reader.read_exact(vmcoreinfo_, sub_header_.vmcoreinfo_offset);
}

Status KdumpFile::read_bitmap_block(ByteReader& reader, uint64_t bitmap_offset, uint64_t index,
                                    MutableBytes block) const {
  DW_CHECK(block.size() == layout_.block_size && index < layout_.bitmap_size / block.size());
  DW_TRY(reader.read_exact(block, bitmap_offset + index * block.size()));
  uint64_t first_pfn = index * block.size() * 8;
  clear_bits_from(block, max_mapnr_ - std::min(max_mapnr_, first_pfn));
  return {};
}

Status KdumpFile::count_second_bitmap(ByteReader& reader) {
  std::vector<std::byte> block(layout_.block_size);
  for (uint64_t index = 0; index < layout_.bitmap_size / layout_.block_size; ++index) {
    rank_base_.push_back(layout_.descriptor_count);
    DW_TRY(read_bitmap_block(reader, layout_.second_bitmap_offset, index, block));
    layout_.descriptor_count += count_set_bits(block);
  }
  layout_.data_offset =
      layout_.descriptors_offset + layout_.descriptor_count * sizeof(PageDescriptor);
  return {};
}

KdumpFile::PageState KdumpFile::state_of(const PageDescriptor& descriptor) const {
  bool unsettled = descriptor.size == kUnsettledSize && descriptor.flags == kPageZstd;
  // Not written yet when the dump was cut off, or only in part (see descriptor_table.h).
  if (descriptor.size == 0 || unsettled) return PageState::kMissing;
  bool fits = descriptor.size <= layout_.block_size &&
              (descriptor.flags != 0 || descriptor.size == layout_.block_size) &&
              descriptor.offset >= layout_.data_offset;
  if (!fits) return PageState::kDamaged;
  if (source_->covers(descriptor.offset, descriptor.size)) return PageState::kStored;
  bool inside = range_fits(descriptor.offset, descriptor.size, source_->size());
  bool closed = source_->ending() == Ending::kWhole || source_->ending() == Ending::kPartial;
  if (inside || closed) return inside ? PageState::kMissing : PageState::kDamaged;
  // Beyond the end of a file that was cut, but no further than its pages can have reached.
  uint64_t most = (layout_.descriptor_count + 2) * layout_.block_size;
  bool plausible = range_fits(descriptor.offset - layout_.data_offset, descriptor.size, most);
  return plausible ? PageState::kMissing : PageState::kDamaged;
}

Status KdumpFile::read_descriptors(ByteReader& reader, uint64_t rank,
                                   std::span<PageDescriptor> descriptors) const {
  uint64_t offset = layout_.descriptors_offset + rank * sizeof(PageDescriptor);
  std::ranges::fill(descriptors, PageDescriptor{});
  DW_ASSIGN(size_t n, reader.read_up_to(std::as_writable_bytes(descriptors), offset));
  if (n == descriptors.size_bytes() && source_->covers(offset, n)) return {};
  for (PageDescriptor& descriptor : descriptors) {
    if (!source_->covers(offset, sizeof(PageDescriptor))) descriptor = {};
    offset += sizeof(PageDescriptor);
  }
  return {};
}

}  // namespace dw
