// A flattened file of any content, against what writing one record after the other would give.
#include <algorithm>
#include <cstring>
#include <vector>

#include "capture/format/flattened_file.h"
#include "capture/format/flattened_format.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/read_pages.h"

namespace {

using namespace dw;
using dw::fuzz::require;

constexpr uint64_t kMostContent = 1 << 20;

// As makedumpfile -R does it, for content that is not too long.
std::vector<std::byte> rearrange(Bytes file, uint64_t content_size) {
  std::vector<std::byte> content(content_size);
  for (size_t at = kFlattenedHeaderBytes; at + sizeof(FlattenedRecord) <= file.size();) {
    FlattenedRecord record = load<FlattenedRecord>(file, at);
    if (record.size == -1 && record.offset == -1) break;
    at += sizeof(FlattenedRecord);
    uint64_t offset = static_cast<uint64_t>(big_endian(record.offset));
    uint64_t size = static_cast<uint64_t>(big_endian(record.size));
    uint64_t there = std::min<uint64_t>(size, file.size() - at);
    if (offset < content_size)
      std::copy_n(file.begin() + static_cast<ptrdiff_t>(at), std::min(there, content_size - offset),
                  content.begin() + static_cast<ptrdiff_t>(offset));
    if (there < size) break;
    at += size;
  }
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<std::unique_ptr<FlattenedFile>> file =
      FlattenedFile::open(dw::fuzz::memory_file(data, size));
  if (!file.ok()) return 0;
  require((*file)->cut_at().has_value() == ((*file)->ending() == Ending::kCut));
  require((*file)->cut_at().value_or(0) <= size);
  uint64_t length = std::min((*file)->size(), kMostContent);
  std::vector<std::byte> content(length);
  std::unique_ptr<ByteReader> reader = std::move((*file)->open_reader().value());
  for (uint64_t at = 0; at < length; at += 7777) {
    MutableBytes piece = MutableBytes(content).subspan(at, std::min<uint64_t>(7777, length - at));
    require(reader->read_exact(piece, at).ok());
  }
  // Behind the last byte that is not zero nothing counts as written.
  Bytes input = std::as_bytes(std::span(data, size));
  while (!input.empty() && input.back() == std::byte{0}) input = input.first(input.size() - 1);
  std::vector<std::byte> expected = rearrange(input, length);
  require(content == expected);
  for (uint64_t at = 0; at < length; at += 4096) {
    (void)(*file)->covers(at, 4096);
    require((*file)->file_offset(at) < size);
  }
  // Bitmaps that no record has are long zeros, which cost time and find nothing.
  if ((*file)->size() <= kMostContent)
    dw::fuzz::read_pages(dw::fuzz::memory_file(data, size), kMostContent);
  return 0;
}
