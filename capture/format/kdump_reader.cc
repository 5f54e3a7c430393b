#include "capture/format/kdump_reader.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "capture/base/checked.h"
#include "capture/pipeline/missing_page.h"

namespace dw {

namespace {

constexpr uint64_t kChunk = 256;
// Read at once where pages' data stands together.
constexpr size_t kStoredBytes = 128 << 10;

using PageState = KdumpFile::PageState;

uint64_t count_word_bits(Bytes bits) {
  uint64_t count = 0;
  for (size_t at = 0; at + 8 <= bits.size(); at += 8)
    count += static_cast<uint64_t>(std::popcount(load<uint64_t>(bits, at)));
  return count;
}

bool test_bit(Bytes bits, uint64_t bit) {
  return (bits[bit / 8] & std::byte{1} << (bit % 8)) != std::byte{0};
}

Error unsupported(const char* what) {
  return Error(ErrorKind::kUnsupported, what)
      .hint("rewrite the dump with another compression first: makedumpfile -c -d 0 DUMP NEW");
}

}  // namespace

Result<bool> KdumpReader::recognizes(const FileView& file) {
  std::array<std::byte, sizeof(kKdumpSignature)> start{};
  DW_ASSIGN(size_t n, read_up_to_at(file, start, 0));
  return n == start.size() && std::memcmp(start.data(), kKdumpSignature, n) == 0;
}

Result<KdumpReader> KdumpReader::open(ReadableFile file) {
  DW_ASSIGN(std::unique_ptr<FileSource> source, FileSource::open(std::move(file)));
  DW_ASSIGN(std::shared_ptr<const KdumpFile> dump, KdumpFile::open(std::move(source)));
  return create(std::move(dump));
}

Result<KdumpReader> KdumpReader::create(std::shared_ptr<const KdumpFile> file) {
  DW_ASSIGN(std::unique_ptr<ByteReader> bytes, file->source().open_reader());
  DW_ASSIGN(PageDecompressor decompressor, PageDecompressor::create());
  return KdumpReader(std::move(file), std::move(bytes), std::move(decompressor));
}

KdumpReader::KdumpReader(std::shared_ptr<const KdumpFile> file, std::unique_ptr<ByteReader> bytes,
                         PageDecompressor decompressor)
    : file_(std::move(file)),
      bytes_(std::move(bytes)),
      decompressor_(std::move(decompressor)),
      bitmap_block_(file_->layout().block_size),
      stored_(std::max<size_t>(kStoredBytes, file_->layout().block_size)) {}

size_t KdumpReader::memory_bytes(const KdumpFile& file) {
  return sizeof(KdumpReader) + file.source().reader_bytes() + PageDecompressor::memory_bytes() +
         file.layout().block_size + std::max<size_t>(kStoredBytes, file.layout().block_size);
}

Status KdumpReader::load_bitmap_block(uint64_t index) {
  if (index == bitmap_index_) return {};
  bitmap_index_ = ~uint64_t{0};
  DW_TRY(file_->read_bitmap_block(*bytes_, layout().second_bitmap_offset, index, bitmap_block_));
  bitmap_index_ = index;
  return {};
}

Status KdumpReader::read_bits(uint64_t bitmap_offset, uint64_t first_pfn, MutableBytes bits) {
  DW_CHECK(first_pfn % 8 == 0);
  std::ranges::fill(bits, std::byte{0});
  std::vector<std::byte> block(layout().block_size);
  uint64_t begin = first_pfn / 8;
  uint64_t end = std::min<uint64_t>(begin + bits.size(), divide_up(max_mapnr(), 8));
  for (uint64_t at = begin; at < end;) {
    uint64_t inside = at % block.size();
    uint64_t length = std::min(block.size() - inside, end - at);
    DW_TRY(file_->read_bitmap_block(*bytes_, bitmap_offset, at / block.size(), block));
    std::ranges::copy(std::span(block).subspan(inside, length),
                      bits.begin() + static_cast<ptrdiff_t>(at - begin));
    at += length;
  }
  return {};
}

Status KdumpReader::read_present_bits(uint64_t first_pfn, MutableBytes bits) {
  return read_bits(layout().first_bitmap_offset, first_pfn, bits);
}

Status KdumpReader::read_kept_bits(uint64_t first_pfn, MutableBytes bits) {
  return read_bits(layout().second_bitmap_offset, first_pfn, bits);
}

Result<KdumpSummary> KdumpReader::summarize() {
  KdumpSummary summary;
  summary.kept = layout().descriptor_count;
  std::vector<std::byte> block(layout().block_size);
  for (uint64_t index = 0; index < layout().bitmap_size / block.size(); ++index) {
    DW_TRY(file_->read_bitmap_block(*bytes_, layout().first_bitmap_offset, index, block));
    summary.ram += count_word_bits(block);
  }
  std::vector<PageDescriptor> batch(4096);
  for (uint64_t first = 0; first < summary.kept; first += batch.size()) {
    size_t n = std::min<uint64_t>(batch.size(), summary.kept - first);
    std::span<PageDescriptor> descriptors = std::span(batch).first(n);
    DW_TRY(file_->read_descriptors(*bytes_, first, descriptors));
    for (const PageDescriptor& descriptor : descriptors) {
      PageState state = file_->state_of(descriptor);
      if (state == PageState::kMissing) {
        ++summary.missing;
      } else if (state == PageState::kDamaged) {
        ++summary.damaged;
      } else if (descriptor.offset == layout().data_offset ||
                 descriptor.offset == align_up(layout().data_offset, layout().block_size)) {
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

// The bitmap block of `pfn` is loaded.
uint64_t KdumpReader::rank_of(uint64_t pfn) const {
  uint64_t bit = pfn % (bitmap_block_.size() * 8);
  uint64_t rank = file_->rank_base(bitmap_index_);
  rank += count_word_bits(Bytes(bitmap_block_).first(bit / 64 * 8));
  for (uint64_t below = bit / 64 * 64; below < bit; ++below)
    if (test_bit(bitmap_block_, below)) ++rank;
  return rank;
}

Result<uint64_t> KdumpReader::read_descriptors(uint64_t first_pfn, unsigned count,
                                               std::span<PageDescriptor> descriptors) {
  DW_CHECK(count >= 1 && count <= kMaxRun && descriptors.size() >= count);
  if (first_pfn >= max_mapnr()) return uint64_t{0};
  DW_CHECK(first_pfn / kChunk == (first_pfn + count - 1) / kChunk);
  uint64_t pages_in_block = bitmap_block_.size() * 8;
  DW_TRY(load_bitmap_block(first_pfn / pages_in_block));
  uint64_t kept = 0;
  for (unsigned i = 0; i < count; ++i)
    if (test_bit(bitmap_block_, (first_pfn + i) % pages_in_block)) kept |= uint64_t{1} << i;
  if (kept == 0) return kept;
  DW_TRY(file_->read_descriptors(*bytes_, rank_of(first_pfn),
                                 descriptors.first(static_cast<size_t>(std::popcount(kept)))));
  return kept;
}

Result<KdumpReader::PageFate> KdumpReader::read_page(uint64_t pfn, MutableBytes page) {
  DW_ASSIGN(uint64_t read, read_pages(pfn, 1, page));
  if (read != 0) return PageFate::kRead;
  if (pfn >= max_mapnr()) return PageFate::kExcluded;
  bool kept = test_bit(bitmap_block_, pfn % (bitmap_block_.size() * 8));
  return kept ? PageFate::kMissing : PageFate::kExcluded;
}

Result<uint64_t> KdumpReader::read_pages(uint64_t first_pfn, unsigned count, MutableBytes pages) {
  DW_CHECK(pages.size() == count * layout().block_size);
  DW_ASSIGN(uint64_t kept, read_descriptors(first_pfn, count, descriptors_));
  // Where each of the descriptors' pages goes.
  std::array<uint8_t, kMaxRun> places{};
  size_t end = 0;
  for (unsigned i = 0; i < count; ++i)
    if ((kept >> i & 1) != 0) places[end++] = static_cast<uint8_t>(i);
  uint64_t read = 0;
  for (size_t begin = 0; begin < end;) {
    const PageDescriptor& descriptor = descriptors_[begin];
    PageState state = file_->state_of(descriptor);
    if (state == PageState::kDamaged)
      return failed(
          Error(ErrorKind::kBadInput, "a page descriptor is damaged"), first_pfn + places[begin],
          layout().descriptors_offset + (rank_of(first_pfn) + begin) * sizeof(PageDescriptor));
    if (state == PageState::kMissing) {
      ++begin;
      continue;
    }
    Piece piece = next_piece(begin, end);
    DW_TRY(read_piece(piece, places, first_pfn, pages, read));
    begin += piece.count;
  }
  return read;
}

// The page at `begin` is stored.
KdumpReader::Piece KdumpReader::next_piece(size_t begin, size_t end) const {
  Piece piece{.begin = begin, .count = 1, .bytes = descriptors_[begin].size};
  for (size_t at = begin + 1; at < end; ++at) {
    const PageDescriptor& descriptor = descriptors_[at];
    bool follows = descriptor.offset == descriptors_[begin].offset + piece.bytes &&
                   file_->state_of(descriptor) == PageState::kStored;
    if (!follows || piece.bytes + descriptor.size > stored_.size()) break;
    ++piece.count;
    piece.bytes += descriptor.size;
  }
  return piece;
}

Status KdumpReader::read_piece(const Piece& piece, std::span<const uint8_t> places,
                               uint64_t first_pfn, MutableBytes pages, uint64_t& read) {
  uint64_t offset = descriptors_[piece.begin].offset;
  MutableBytes stored = std::span(stored_).first(piece.bytes);
  Status got = bytes_->read_exact(stored, offset);
  if (!got.ok() && piece.count > 1) return read_singly(piece, places, first_pfn, pages, read);
  if (!got.ok()) return failed(got.error(), first_pfn + places[piece.begin], offset);
  for (size_t i = piece.begin; i < piece.begin + piece.count; ++i) {
    const PageDescriptor& descriptor = descriptors_[i];
    size_t place = places[i];
    MutableBytes page = pages.subspan(place * layout().block_size, layout().block_size);
    Bytes data = Bytes(stored).subspan(descriptor.offset - offset, descriptor.size);
    Status decoded = decode(descriptor, data, page);
    if (!decoded.ok()) return failed(decoded.error(), first_pfn + place, descriptor.offset);
    // See stream.md: without its mark, only its text tells a missing page of a stream.
    bool text = descriptor.flags == 0 && incomplete() && is_missing_page(page);
    if (!text) read |= uint64_t{1} << place;
  }
  return {};
}

// Finds out which of the pages it is that cannot be read.
Status KdumpReader::read_singly(const Piece& piece, std::span<const uint8_t> places,
                                uint64_t first_pfn, MutableBytes pages, uint64_t& read) {
  for (size_t i = piece.begin; i < piece.begin + piece.count; ++i)
    DW_TRY(read_piece({.begin = i, .count = 1, .bytes = descriptors_[i].size}, places, first_pfn,
                      pages, read));
  return {};
}

Status KdumpReader::decode(const PageDescriptor& descriptor, Bytes stored, MutableBytes page) {
  switch (descriptor.flags) {
    case 0:
      std::memcpy(page.data(), stored.data(), stored.size());
      return {};
    case kPageZstd:
      return decompressor_.decompress_zstd(stored, page);
    case kPageZlib:
      return decompressor_.decompress_zlib(stored, page);
    case kPageLzo:
      return unsupported("a page compressed with lzo, which is not read");
    case kPageSnappy:
      return unsupported("a page compressed with snappy, which is not read");
    default:
      return Error(ErrorKind::kUnsupported, "a page with a compression that is not known")
          .hint("the dump is damaged, or newer than this program");
  }
}

// Keeps the place in the file that `error` tells, if it does.
Error KdumpReader::failed(const Error& error, uint64_t pfn, uint64_t offset) const {
  char subject[32];
  std::snprintf(subject, sizeof(subject), "pfn 0x%" PRIx64, pfn);
  Error told = error;
  if (told.where() == Where::kNowhere) told.at(Where::kOffset, file_->source().file_offset(offset));
  if (told.kind() == ErrorKind::kBadInput)
    told.hint("the dump is damaged; copy it again from where it was");
  return told.on(subject);
}

}  // namespace dw
