// Two superblocks of a partition, with checks that are right or not: what is believed of them.
//
// The input is what kind each check is (a byte: bit 0 and 1 make them right), and both sectors.
#include <algorithm>
#include <array>
#include <cstring>

#include "capture/codec/running_digest.h"
#include "capture/target/raw/raw_contents.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;
using dw::fuzz::memory_file;
using dw::fuzz::require;

constexpr size_t kChecked = kRawSuperblockBytes - sizeof(uint64_t);

void check_area(uint64_t begin, uint64_t length, uint64_t from, uint64_t to) {
  require(begin >= from && begin <= to && length <= to - begin);
}

void check_superblock(const RawSuperblock& superblock) {
  check_area(superblock.dump_offset, superblock.dump_bytes, kRawFilesBegin, superblock.sums_offset);
  check_area(superblock.sums_offset, superblock.sums_room, superblock.dump_offset,
             superblock.device_bytes);
  require(superblock.name.find('/') == std::string::npos && superblock.name != "..");
  for (const RawFile& file : superblock.files)
    if (!file.name.empty())
      check_area(file.offset, file.length, kRawFilesBegin, superblock.dump_offset);
  Result<std::optional<RawSuperblock>> again = decode_raw_superblock(encode(superblock));
  require(again.ok() && *again && **again == superblock);
}

void read_files(int device, const RawSuperblock& superblock) {
  for (const std::string& name : {superblock.file, superblock.file + ".incomplete",
                                  std::string("vmcore.sums"), superblock.files[0].name}) {
    Result<ReadableFile> file = open_raw_file(device, superblock, name);
    if (!file.ok()) continue;
    std::array<std::byte, 4096> into;
    Result<size_t> read = read_up_to_at(file->get(), into, 0);
    require(read.ok() && *read <= file_size(file->get()).value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  uint8_t right = *data++;
  --size;
  std::array<uint8_t, 32 << 10> device{};
  for (unsigned copy = 0; copy < kRawSuperblockCopies; ++copy) {
    uint8_t* sector = device.data() + copy * kRawSuperblockStep;
    size_t n = std::min<size_t>(size, kRawSuperblockBytes);
    std::memcpy(sector, data, n);
    data += n;
    size -= n;
    if ((right >> copy & 1) == 0) continue;
    uint64_t check = digest64(std::as_bytes(std::span(sector, kChecked)));
    std::memcpy(sector + kChecked, &check, sizeof(check));
  }
  Fd file = memory_file(device.data(), device.size());
  Result<std::optional<FoundSuperblock>> found = find_raw_superblock(file.get());
  if (!found.ok() || !*found) return 0;
  check_superblock((*found)->superblock);
  read_files(file.get(), (*found)->superblock);
  return 0;
}
