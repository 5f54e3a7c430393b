#include <doctest/doctest.h>
#include <sys/mman.h>

#include <string>

#include "capture/base/fd.h"
#include "initrd-hooks/standalone/partition_uuid.h"

using namespace dw;

namespace {

// A disk that lives in memory.
Fd make_disk(const std::string& content) {
  Fd disk(::memfd_create("disk", MFD_CLOEXEC));
  REQUIRE(disk.valid());
  REQUIRE(write_all_at(disk.get(), std::as_bytes(std::span(content)), 0).ok());
  return disk;
}

std::string mbr_disk() {
  std::string disk(8192, '\0');
  disk.replace(440, 4, "\x21\x7c\x3b\x5a");
  disk.replace(510, 2, "\x55\xAA");
  return disk;
}

// A table of four entries of 128 bytes behind a header at block 1; the second is in use.
std::string gpt_disk(uint64_t block_size) {
  std::string disk(4 * block_size, '\0');
  MutableBytes bytes = std::as_writable_bytes(std::span(disk));
  disk.replace(510, 2, "\x55\xAA");
  disk[446 + 16 + 4] = '\xEE';  // protective, as in hybrid ones not in the first entry
  disk.replace(block_size, 8, "EFI PART");
  store<uint64_t>(bytes, block_size + 72, 2);
  store<uint32_t>(bytes, block_size + 80, 4);
  store<uint32_t>(bytes, block_size + 84, 128);
  for (size_t i = 0; i < 16; i++) disk[2 * block_size + 128 + 16 + i] = static_cast<char>(0xa0 + i);
  return disk;
}

std::optional<std::string> uuid_of(const std::string& content, uint64_t block_size,
                                   uint32_t number) {
  Fd disk = make_disk(content);
  auto uuid = partition_uuid(disk.get(), block_size, number);
  return uuid.ok() ? *uuid : std::nullopt;
}

}  // namespace

TEST_CASE("partition UUID: GPT, in both sizes of blocks") {
  for (uint64_t block_size : {512, 4096}) {
    CHECK(uuid_of(gpt_disk(block_size), block_size, 2) == "a3a2a1a0-a5a4-a7a6-a8a9-aaabacadaeaf");
    CHECK_FALSE(uuid_of(gpt_disk(block_size), block_size, 1));
    CHECK_FALSE(uuid_of(gpt_disk(block_size), block_size, 5));
    CHECK_FALSE(uuid_of(gpt_disk(block_size), block_size, 0));
  }
}

TEST_CASE("partition UUID: MBR") {
  CHECK(uuid_of(mbr_disk(), 512, 1) == "5a3b7c21-01");
  CHECK(uuid_of(mbr_disk(), 512, 12) == "5a3b7c21-0c");
  CHECK_FALSE(uuid_of(mbr_disk(), 512, 256));
  CHECK_FALSE(uuid_of(std::string(8192, '\0'), 512, 1));
}

TEST_CASE("partition UUID: a GPT that an MBR has replaced does not count") {
  std::string disk = gpt_disk(512);
  disk.replace(0, 512, mbr_disk(), 0, 512);
  CHECK(uuid_of(disk, 512, 2) == "5a3b7c21-02");
  disk[446 + 4] = '\x83';
  CHECK(uuid_of(disk, 512, 2) == "5a3b7c21-02");
  disk[446 + 3 * 16 + 4] = '\xEE';
  CHECK(uuid_of(disk, 512, 2) == "a3a2a1a0-a5a4-a7a6-a8a9-aaabacadaeaf");
  // As the kernel has no partitions then.
  disk[512] = 'x';
  CHECK_FALSE(uuid_of(disk, 512, 2));
  // Nor from a sector that is no MBR.
  disk = gpt_disk(512);
  disk[511] = 0;
  CHECK_FALSE(uuid_of(disk, 512, 2));
}

TEST_CASE("partition UUID: a hostile table leads nowhere") {
  for (uint64_t start : {uint64_t{1} << 40, UINT64_MAX, UINT64_MAX / 512, uint64_t{1} << 54}) {
    std::string disk = gpt_disk(512);
    store<uint64_t>(std::as_writable_bytes(std::span(disk)), 512 + 72, start);
    CHECK_FALSE(uuid_of(disk, 512, 2));
  }
  for (uint32_t entry_size : {0u, 1u, 127u, 4097u, 0xffffffffu}) {
    std::string disk = gpt_disk(512);
    store<uint32_t>(std::as_writable_bytes(std::span(disk)), 512 + 84, entry_size);
    store<uint32_t>(std::as_writable_bytes(std::span(disk)), 512 + 80, 0xffffffffu);
    CHECK_FALSE(uuid_of(disk, 512, 0xffffffffu));
    CHECK_FALSE(uuid_of(disk, 512, 2));
  }
  CHECK_FALSE(uuid_of("short", 512, 1));
  CHECK_FALSE(uuid_of(gpt_disk(512), 0, 1));
  CHECK_FALSE(uuid_of(gpt_disk(512), UINT64_MAX, 1));
}
