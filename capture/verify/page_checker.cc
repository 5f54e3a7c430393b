#include "capture/verify/page_checker.h"

#include <algorithm>
#include <utility>

#include "capture/plan/batch.h"

namespace dw {

namespace {

using PageState = KdumpFile::PageState;

// What one bad sector may take with it.
constexpr size_t kRetryBytes = 4096;

}  // namespace

size_t PageChecker::data_bytes(const KdumpFile& file) {
  return kBatchPages * file.layout().block_size;
}

Result<PageChecker> PageChecker::create(const KdumpFile& file, DamagedData& damaged) {
  DW_ASSIGN(PageDecompressor decompressor, PageDecompressor::create());
  PageChecker checker(file, damaged, std::move(decompressor));
  DW_ASSIGN(checker.reader_, file.source().open_reader());
  uint64_t size = std::min<uint64_t>(data_bytes(file), file.source().size());
  DW_ASSIGN(checker.data_, Buffer::allocate(size));
  DW_ASSIGN(checker.page_, Buffer::allocate(file.layout().block_size));
  return checker;
}

Bytes PageChecker::read_data(uint64_t offset, size_t length) {
  uint64_t size = file_->source().size();
  size_t inside = std::min<uint64_t>(length, size - std::min(size, offset));
  MutableBytes into = data_.bytes().first(inside);
  Result<size_t> read = reader_->read_up_to(into, offset);
  size_t there = read.ok() ? *read : 0;
  // In small pieces, so that a bad sector costs the pages in it and no others.
  while (!read.ok() && there < inside) {
    MutableBytes piece = into.subspan(there, std::min(kRetryBytes, inside - there));
    Result<size_t> again = reader_->read_up_to(piece, offset + there);
    if (again.ok() && *again < piece.size()) break;
    if (!again.ok()) {
      damaged_->add(offset + there, offset + there + piece.size(), Damage::kUnreadable);
      std::ranges::fill(piece, std::byte{0});
    }
    there += piece.size();
  }
  if (there < length) damaged_->add(offset + there, offset + length, Damage::kUnreadable);
  return Bytes(into).first(there);
}

PageChecker::Finding PageChecker::check(const PageDescriptor& descriptor, Bytes stored) {
  MutableBytes page = page_.bytes().first(file_->layout().block_size);
  Status status;
  if (descriptor.flags == kPageZstd)
    status = decompressor_.decompress_zstd(stored, page);
  else if (descriptor.flags == kPageZlib)
    status = decompressor_.decompress_zlib(stored, page);
  else
    return Finding::kUncheckable;
  if (status.ok()) return Finding::kRight;
  damaged_->add(descriptor.offset, descriptor.offset + descriptor.size, Damage::kData);
  return Finding::kWrong;
}

void PageChecker::check_all(std::span<const PageDescriptor> descriptors) {
  auto stored = [this](const PageDescriptor& descriptor) {
    return file_->state_of(descriptor) == PageState::kStored;
  };
  for (size_t begin = 0; begin < descriptors.size();) {
    const PageDescriptor& first = descriptors[begin];
    if (!stored(first) || first.offset == last_offset_) {
      ++begin;
      continue;
    }
    // As many as stand behind each other are read at once.
    uint64_t length = first.size;
    size_t end = begin + 1;
    while (end < descriptors.size() && descriptors[end].offset == first.offset + length &&
           stored(descriptors[end]) && length + descriptors[end].size <= data_.size())
      length += descriptors[end++].size;
    Bytes data = read_data(first.offset, length);
    for (; begin < end; ++begin) {
      const PageDescriptor& descriptor = descriptors[begin];
      uint64_t at = descriptor.offset - first.offset;
      last_offset_ = descriptor.offset;
      if (at + descriptor.size > data.size()) continue;
      (void)check(descriptor, data.subspan(at, descriptor.size));
    }
  }
}

}  // namespace dw
