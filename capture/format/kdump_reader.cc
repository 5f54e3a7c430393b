#include "capture/format/kdump_reader.h"

#include <algorithm>
#include <array>
#include <bit>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint64_t kMaxNotes = 16 << 20;
// 1 PiB of memory in pages of 4 KiB.
constexpr uint64_t kMaxBitmapBytes = uint64_t{1} << 35;
constexpr const char* kDamagedHint = "the dump is cut or damaged; copy it again from where it was";

Error bad(const char* what, uint64_t offset) {
  return Error(ErrorKind::kBadInput, what).at(Where::kOffset, offset).hint(kDamagedHint);
}

template <typename T>
Status read_into(int fd, uint64_t offset, T& value) {
  return read_exact_at(fd, std::as_writable_bytes(std::span(&value, 1)), offset);
}

// Not written yet when the dump was cut off, or only in part (see descriptor_table.h).
bool is_missing(const PageDescriptor& descriptor) {
  return descriptor.size == 0 ||
         (descriptor.size == kUnsettledSize && descriptor.flags == kPageZstd);
}

uint64_t count_bits(Bytes bitmap) {
  uint64_t count = 0;
  for (size_t at = 0; at + 8 <= bitmap.size(); at += 8)
    count += static_cast<uint64_t>(std::popcount(load<uint64_t>(bitmap, at)));
  return count;
}

}  // namespace

Result<bool> KdumpReader::recognizes(int fd) {
  std::array<std::byte, sizeof(kKdumpSignature)> start{};
  DW_ASSIGN(size_t n, read_up_to_at(fd, start, 0));
  return n == start.size() && std::memcmp(start.data(), kKdumpSignature, n) == 0;
}

Result<KdumpReader> KdumpReader::open(Fd fd) {
  KdumpReader reader;
  reader.fd_ = std::move(fd);
  DW_ASSIGN(reader.file_size_, dw::file_size(reader.fd_.get()));
  DW_TRY(reader.read_headers());
  DW_TRY(reader.check_headers());
  DW_TRY(reader.read_notes());
  DW_TRY(reader.count_second_bitmap());
  return reader;
}

Status KdumpReader::read_headers() {
  if (file_size_ < sizeof(KdumpHeader)) return bad("too short for a kdump header", file_size_);
  DW_TRY(read_into(fd_.get(), 0, header_));
  if (std::memcmp(header_.signature, kKdumpSignature, sizeof(kKdumpSignature)) != 0)
    return Error(ErrorKind::kBadInput, "not a kdump file");
  if (header_.version < kKdumpVersion)
    return Error(ErrorKind::kUnsupported, "a kdump file older than header version 6");
  if (header_.block_size < 4096 || header_.block_size > 65536 ||
      !std::has_single_bit(static_cast<uint32_t>(header_.block_size)))
    return bad("an impossible block size", offsetof(KdumpHeader, block_size));
  return read_into(fd_.get(), static_cast<uint64_t>(header_.block_size), sub_header_);
}

Status KdumpReader::check_headers() {
  uint64_t block = static_cast<uint64_t>(header_.block_size);
  if (header_.sub_header_blocks < 1)
    return bad("an impossible sub header size", offsetof(KdumpHeader, sub_header_blocks));
  max_mapnr_ = std::max<uint64_t>(sub_header_.max_mapnr_64, header_.max_mapnr);
  layout_.block_size = block;
  layout_.sub_header_offset = block;
  layout_.notes_offset = sub_header_.notes_offset;
  layout_.notes_size = sub_header_.notes_size;
  layout_.first_bitmap_offset = block * (1 + static_cast<uint64_t>(header_.sub_header_blocks));
  layout_.bitmap_size = header_.bitmap_blocks / 2 * block;
  layout_.second_bitmap_offset = layout_.first_bitmap_offset + layout_.bitmap_size;
  layout_.descriptors_offset = layout_.second_bitmap_offset + layout_.bitmap_size;
  if (layout_.descriptors_offset > file_size_)
    return bad("the file ends inside the bitmaps", file_size_);
  if (layout_.bitmap_size > kMaxBitmapBytes)
    return bad("an impossible bitmap size", offsetof(KdumpHeader, bitmap_blocks));
  if (max_mapnr_ > layout_.bitmap_size * 8)
    return bad("the bitmaps are shorter than the memory they describe",
               offsetof(KdumpHeader, bitmap_blocks));
  return {};
}

Status KdumpReader::read_notes() {
  if (layout_.notes_size > kMaxNotes ||
      !range_fits(layout_.notes_offset, layout_.notes_size, file_size_))
    return bad("the ELF notes lie outside the file", layout_.sub_header_offset);
  notes_.resize(layout_.notes_size);
  DW_TRY(read_exact_at(fd_.get(), notes_, layout_.notes_offset));
  uint64_t size = sub_header_.vmcoreinfo_size;
  if (size == 0) return {};
  if (size > kMaxNotes || !range_fits(sub_header_.vmcoreinfo_offset, size, file_size_))
    return bad("VMCOREINFO lies outside the file", layout_.sub_header_offset);
  vmcoreinfo_.resize(size);
  return read_exact_at(fd_.get(), vmcoreinfo_, sub_header_.vmcoreinfo_offset);
}

Status KdumpReader::count_second_bitmap() {
  std::vector<std::byte> block(layout_.block_size);
  for (uint64_t at = 0; at < layout_.bitmap_size; at += block.size()) {
    rank_base_.push_back(layout_.descriptor_count);
    DW_TRY(read_exact_at(fd_.get(), block, layout_.second_bitmap_offset + at));
    layout_.descriptor_count += count_bits(block);
  }
  layout_.data_offset =
      layout_.descriptors_offset + layout_.descriptor_count * sizeof(PageDescriptor);
  return {};
}

bool KdumpReader::is_valid(const PageDescriptor& descriptor) const {
  bool compressed = descriptor.flags != 0;
  return descriptor.size > 0 && descriptor.size <= layout_.block_size &&
         (compressed || descriptor.size == layout_.block_size) &&
         descriptor.offset >= layout_.descriptors_offset &&
         range_fits(descriptor.offset, descriptor.size, file_size_);
}

Result<KdumpSummary> KdumpReader::summarize() {
  KdumpSummary summary;
  summary.kept = layout_.descriptor_count;
  std::vector<std::byte> block(layout_.block_size);
  for (uint64_t at = 0; at < layout_.bitmap_size; at += block.size()) {
    DW_TRY(read_exact_at(fd_.get(), block, layout_.first_bitmap_offset + at));
    summary.ram += count_bits(block);
  }
  std::vector<PageDescriptor> batch(4096);
  for (uint64_t first = 0; first < layout_.descriptor_count; first += batch.size()) {
    size_t n = std::min<uint64_t>(batch.size(), layout_.descriptor_count - first);
    std::span<PageDescriptor> descriptors = std::span(batch).first(n);
    std::ranges::fill(descriptors, PageDescriptor{});
    // A cut table reads as missing pages.
    DW_TRY(read_up_to_at(fd_.get(), std::as_writable_bytes(descriptors),
                         layout_.descriptors_offset + first * sizeof(PageDescriptor)));
    for (const PageDescriptor& descriptor : descriptors) {
      if (is_missing(descriptor)) {
        ++summary.missing;
      } else if (!is_valid(descriptor)) {
        ++summary.damaged;
      } else if (descriptor.offset == layout_.data_offset ||
                 descriptor.offset == align_up(layout_.data_offset, layout_.block_size)) {
        // We align the first page of the data, which is the shared zero page; makedumpfile does
        // not.
        ++summary.shared;
      } else {
        ++summary.stored;
        summary.stored_bytes += descriptor.size;
      }
    }
  }
  return summary;
}

Result<KdumpReader::PageFate> KdumpReader::read_page(uint64_t pfn, MutableBytes page) {
  DW_CHECK(page.size() == layout_.block_size);
  if (pfn >= max_mapnr_) return PageFate::kExcluded;
  uint64_t block_index = pfn / 8 / layout_.block_size;
  std::vector<std::byte> block(layout_.block_size);
  DW_TRY(read_exact_at(fd_.get(), block,
                       layout_.second_bitmap_offset + block_index * layout_.block_size));
  size_t byte = pfn / 8 % layout_.block_size;
  if ((block[byte] & std::byte{1} << (pfn % 8)) == std::byte{0}) return PageFate::kExcluded;
  uint64_t rank = rank_base_[block_index];
  for (size_t at = 0; at < byte; ++at)
    rank += static_cast<uint64_t>(std::popcount(static_cast<uint8_t>(block[at])));
  uint8_t below = static_cast<uint8_t>(static_cast<uint8_t>(block[byte]) & ((1U << (pfn % 8)) - 1));
  rank += static_cast<uint64_t>(std::popcount(below));

  PageDescriptor descriptor{};
  DW_TRY(read_up_to_at(fd_.get(), std::as_writable_bytes(std::span(&descriptor, 1)),
                       layout_.descriptors_offset + rank * sizeof(PageDescriptor)));
  if (is_missing(descriptor)) return PageFate::kMissing;
  Status read = read_stored(descriptor, page);
  if (!read.ok()) {
    Error error = read.error();
    return error.at(Where::kPfn, pfn);
  }
  return PageFate::kRead;
}

Status KdumpReader::read_stored(const PageDescriptor& descriptor, MutableBytes page) {
  if (!is_valid(descriptor)) return Error(ErrorKind::kBadInput, "a page descriptor is damaged");
  if (descriptor.flags == 0) return read_exact_at(fd_.get(), page, descriptor.offset);
  if (descriptor.flags != kPageZstd && descriptor.flags != kPageZlib)
    return Error(ErrorKind::kUnsupported, "a page with a compression that is not supported");
  if (!decompressor_) {
    DW_ASSIGN(PageDecompressor made, PageDecompressor::create());
    decompressor_.emplace(std::move(made));
  }
  std::vector<std::byte> stored(descriptor.size);
  DW_TRY(read_exact_at(fd_.get(), stored, descriptor.offset));
  return descriptor.flags == kPageZlib ? decompressor_->decompress_zlib(stored, page)
                                       : decompressor_->decompress_zstd(stored, page);
}

}  // namespace dw
