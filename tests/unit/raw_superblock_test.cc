#include "capture/target/raw/raw_superblock.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "capture/codec/running_digest.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

RawSuperblock some_superblock(uint64_t generation = 7) {
  RawSuperblock superblock{.state = RawState::kIncomplete,
                           .generation = generation,
                           .device_bytes = 1 << 20,
                           .dump_offset = 65536,
                           .dump_bytes = 100001,
                           .sums_offset = 900 << 10,
                           .sums_room = 64 << 10,
                           .sums_bytes = 1000,
                           .sums_certain = true,
                           .taken_off = false,
                           .name = "host-20260101T000000Z",
                           .file = "vmcore.zst",
                           .files = {}};
  superblock.files[0] = {"vmcore.json", 8192, 8192, 5000, 77};
  superblock.files[2] = {"vmcore-dmesg.txt", 16384, 4096, 0, 78};
  return superblock;
}

bool decodes(const RawSuperblock& superblock) {
  return decode_raw_superblock(encode(superblock)).value() == superblock;
}

// The bytes with a check that is right.
RawSuperblockSector checked(RawSuperblockSector sector) {
  uint64_t check = digest64(Bytes(sector).first(504));
  std::memcpy(sector.data() + 504, &check, sizeof(check));
  return sector;
}

// A field of the sector as another value.
RawSuperblockSector with(size_t offset, uint64_t value, size_t size = 8) {
  RawSuperblockSector sector = encode(some_superblock());
  std::memcpy(sector.data() + offset, &value, size);
  return checked(sector);
}

std::vector<std::byte> device_with(const std::vector<RawSuperblockSector>& copies) {
  std::vector<std::byte> device(64 << 10);
  for (size_t i = 0; i < copies.size(); ++i)
    std::memcpy(device.data() + i * kRawSuperblockStep, copies[i].data(), kRawSuperblockBytes);
  return device;
}

std::optional<FoundSuperblock> find(const std::vector<std::byte>& device) {
  return find_raw_superblock(memory_file(device).get()).value();
}

}  // namespace

TEST_CASE("raw superblock: what is written is read") {
  CHECK(decodes(some_superblock()));
  RawSuperblock superblock = some_superblock();
  superblock.state = RawState::kSealed;
  superblock.taken_off = true;
  superblock.sums_certain = false;
  superblock.name = std::string(kRawMaxName, 'n');
  superblock.file = std::string(kRawMaxFileName, 'f');
  superblock.files[3] = {std::string(kRawMaxFileName, 'x'), 24576, 4096, 4096, ~uint64_t{0}};
  CHECK(decodes(superblock));
  superblock = {.state = RawState::kStaged,
                .device_bytes = 1 << 20,
                .dump_offset = 8192,
                .sums_offset = 1 << 20,
                .name = "n",
                .file = {},
                .files = {}};
  CHECK(decodes(superblock));
}

TEST_CASE("raw superblock: with any bit flipped it is none") {
  RawSuperblockSector sector = encode(some_superblock());
  for (size_t bit = 0; bit < sector.size() * 8; ++bit) {
    RawSuperblockSector flipped = sector;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    CHECK_FALSE(decode_raw_superblock(flipped).value().has_value());
  }
  CHECK_FALSE(decode_raw_superblock(Bytes(sector).first(511)).value().has_value());
  CHECK_FALSE(decode_raw_superblock(RawSuperblockSector{}).value().has_value());
}

TEST_CASE("raw superblock: of another version it is refused, not passed over") {
  auto other = decode_raw_superblock(with(8, 2, 4));
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().kind() == ErrorKind::kUnsupported);
  CHECK(contains(text_of(other), "another version"));
}

TEST_CASE("raw superblock: one that makes no sense is none, whatever its check says") {
  REQUIRE(decode_raw_superblock(with(24, 1 << 20)).value() == some_superblock());
  struct {
    const char* what;
    size_t offset;
    uint64_t value;
    size_t size = 8;
  } const kBad[] = {{"state", 12, 0, 4},
                    {"state", 12, 4, 4},
                    {"device ends in the list", 24, 960 << 10},
                    {"device", 24, 0},
                    {"dump begins in a superblock", 32, 4096},
                    {"dump begins in a block", 32, 65537},
                    {"dump begins behind the list", 32, 1 << 20},
                    {"dump begins in a small file", 32, 16384},
                    {"dump reaches into the list", 40, 900 << 10},
                    {"dump bytes", 40, ~uint64_t{0}},
                    {"list begins in a block", 48, (900 << 10) + 1},
                    {"list begins nowhere", 48, ~uint64_t{4095}},
                    {"list room", 56, ~uint64_t{0}},
                    {"list longer than its room", 64, (64 << 10) + 1},
                    {"flags", 72, 4, 4},
                    {"name with a slash", 80, '/', 1},
                    {"name with a control character", 80, 27, 1},
                    {"no name", 80, 0, 1},
                    {"no file", 192, 0, 1},
                    {"file ..", 192, 0x2e2e, 3},
                    {"small file in a superblock", 256, 4096},
                    {"small file in the dump", 256, 65536 - 4096},
                    {"small file in another", 256, 12288},
                    {"small file longer than its place", 272, 8193},
                    {"small file ..", 224, 0x2e2e, 3}};
  for (const auto& bad : kBad) {
    CAPTURE(bad.what);
    CAPTURE(bad.offset);
    CHECK_FALSE(decode_raw_superblock(with(bad.offset, bad.value, bad.size)).value().has_value());
  }
}

TEST_CASE("raw superblock: a name that does not end is none") {
  for (auto [offset, size] : {std::pair{80, 112}, {192, 32}, {224, 32}}) {
    RawSuperblockSector sector = encode(some_superblock());
    std::memset(sector.data() + offset, 'n', static_cast<size_t>(size) - 1);
    CHECK(decode_raw_superblock(checked(sector)).value().has_value());
    std::memset(sector.data() + offset, 'n', static_cast<size_t>(size));
    CHECK_FALSE(decode_raw_superblock(checked(sector)).value().has_value());
  }
}

TEST_CASE("raw superblock: two small files have two names") {
  RawSuperblockSector sector = encode(some_superblock());
  std::memcpy(sector.data() + 224 + 2 * 64, sector.data() + 224, 32);
  CHECK_FALSE(decode_raw_superblock(checked(sector)).value().has_value());
}

TEST_CASE("raw superblock: of two copies the valid one that is newer counts") {
  RawSuperblockSector older = encode(some_superblock(7));
  RawSuperblockSector newer = encode(some_superblock(8));
  RawSuperblockSector torn = newer;
  torn[300] ^= std::byte{1};
  CHECK_FALSE(find(device_with({})));
  CHECK_FALSE(find(device_with({torn, torn})));
  struct {
    std::vector<RawSuperblockSector> copies;
    unsigned copy;
    uint64_t generation;
  } const kCases[] = {{{older, newer}, 1, 8}, {{newer, older}, 0, 8}, {{older, torn}, 0, 7},
                      {{torn, older}, 1, 7},  {{newer}, 0, 8},        {{newer, newer}, 0, 8}};
  for (const auto& each : kCases) {
    std::optional<FoundSuperblock> found = find(device_with(each.copies));
    REQUIRE(found);
    CHECK(found->copy == each.copy);
    CHECK(found->superblock.generation == each.generation);
  }
  std::vector<std::byte> short_device = device_with({newer, older});
  short_device.resize(600);
  CHECK(find(short_device)->superblock.generation == 8);
  short_device.resize(500);
  CHECK_FALSE(find(short_device));
}
