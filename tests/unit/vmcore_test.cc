#include "capture/source/vmcore.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "capture/source/guarded_copy.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr ReadMethod kMethods[] = {ReadMethod::kRead, ReadMethod::kMap};

Vmcore open(const TemporaryVmcore& file, ReadMethod method) {
  return std::move(Vmcore::open(file.path(), method).value());
}

std::vector<std::byte> expected(const VmcoreBuilder& builder, uint64_t address, size_t size) {
  std::vector<std::byte> bytes(size);
  builder.read(address, bytes);
  return bytes;
}

// Two segments that touch in memory and lie apart in the file, then a hole, then 8 MiB.
VmcoreBuilder layered() {
  VmcoreBuilder builder;
  builder.add_ram(0x10000, 0x4000);
  builder.add_segment({.physical_address = 0x14000,
                       .memory_size = 0x4000,
                       .virtual_address = 0,
                       .file_size = 0x4000,
                       .file_gap = 0x3000});
  builder.add_ram(0x100000, 8 << 20);
  builder.fill_random(0x10000, 0x8000, 1);
  builder.fill_random(0x100000 + (4 << 20) - 0x8000, 0x20000, 2);
  return builder;
}

}  // namespace

TEST_CASE("vmcore: mapped and read memory are the same, across segments and windows") {
  VmcoreBuilder builder = layered();
  TemporaryVmcore file(builder);
  for (ReadMethod method : kMethods) {
    Vmcore vmcore = open(file, method);
    CHECK(vmcore.mapped() == (method == ReadMethod::kMap));
    VmcoreReader reader(vmcore);
    std::vector<std::byte> across(0x7000);
    CHECK(reader.read(0x10800, across).ok());
    CHECK(across == expected(builder, 0x10800, across.size()));
    std::vector<std::byte> windows(0x30000);
    uint64_t address = 0x100000 + (4 << 20) - 0x10000;
    CHECK(reader.read(address, windows).ok());
    CHECK(windows == expected(builder, address, windows.size()));
  }
}

TEST_CASE("vmcore: a regular file is read, not mapped, unless told otherwise") {
  TemporaryVmcore file(layered());
  CHECK_FALSE(open(file, ReadMethod::kAuto).mapped());
}

TEST_CASE("vmcore: memory that is not there is an error with its address") {
  TemporaryVmcore file(layered());
  for (ReadMethod method : kMethods) {
    Vmcore vmcore = open(file, method);
    VmcoreReader reader(vmcore);
    std::vector<std::byte> into(0x2000);
    Status hole = reader.read(0x17000, into);
    CHECK(text_of(hole) == "no such physical memory in the vmcore at address 0x18000");
    CHECK_FALSE(reader.read(0, into).ok());
    CHECK_FALSE(reader.read(~uint64_t{0} - 10, into).ok());
  }
}

TEST_CASE("vmcore: pages of a run with a hole have a bit each") {
  VmcoreBuilder builder = layered();
  TemporaryVmcore file(builder);
  for (ReadMethod method : kMethods) {
    Vmcore vmcore = open(file, method);
    VmcoreReader reader(vmcore);
    std::vector<std::byte> into(16 * kPageBytes, std::byte{0xee});
    CHECK(reader.read_pages(0xe, 16, into) == 0x3fc);
    auto there = std::span(into).subspan(2 * kPageBytes, 8 * kPageBytes);
    CHECK(std::ranges::equal(there, expected(builder, 0x10000, there.size())));
  }
}

TEST_CASE("vmcore: 64 pages at once") {
  VmcoreBuilder builder = layered();
  TemporaryVmcore file(builder);
  Vmcore vmcore = open(file, ReadMethod::kMap);
  VmcoreReader reader(vmcore);
  std::vector<std::byte> into(64 * kPageBytes);
  CHECK(reader.read_pages(0x4f0, 64, into) == ~uint64_t{0});
  CHECK(into == expected(builder, 0x4f0000, into.size()));
}

TEST_CASE("vmcore: of a page that is partly there the rest is zeros") {
  VmcoreBuilder builder;
  builder.add_ram(0x1400, 0x400).add_ram(0x1c00, 0x1800);  // ends at 0x3400
  builder.fill(0x1400, 0x400, 0x11).fill(0x1c00, 0x1800, 0x22);
  TemporaryVmcore file(builder);
  for (ReadMethod method : kMethods) {
    Vmcore vmcore = open(file, method);
    VmcoreReader reader(vmcore);
    std::vector<std::byte> into(4 * kPageBytes, std::byte{0xee});
    CHECK(reader.read_pages(0, 4, into) == 0xe);
    auto there = std::span(into).subspan(kPageBytes);
    CHECK(std::ranges::equal(there, expected(builder, 0x1000, 3 * kPageBytes)));
  }
}

TEST_CASE("vmcore: a file that is cut while it is read costs pages, nothing more") {
  VmcoreBuilder builder = layered();
  for (ReadMethod method : kMethods) {
    CAPTURE(static_cast<int>(method));
    TemporaryVmcore file(builder);
    Vmcore vmcore = open(file, method);
    VmcoreReader reader(vmcore);
    std::vector<std::byte> into(64 * kPageBytes);
    CHECK(reader.read_pages(0x4f0, 64, into) == ~uint64_t{0});
    // Cut inside a page: its first part alone is no page.
    uint64_t cut = builder.file_offset_of_segment(2) + 0x3f0000 + 10 * kPageBytes + 100;
    REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(cut)) == 0);
    uint64_t readable = reader.read_pages(0x4f0, 64, into);
    CHECK((readable & 0x3ff) == 0x3ff);
    CHECK((readable >> 11) == 0);
    CHECK(std::ranges::equal(std::span(into).first(10 * kPageBytes),
                             expected(builder, 0x4f0000, 10 * kPageBytes)));
    std::vector<std::byte> bytes(kPageBytes);
    CHECK_FALSE(reader.read(0x4f0000 + 20 * kPageBytes, bytes).ok());
    CHECK(reader.read(0x10000, bytes).ok());
  }
}

TEST_CASE("vmcore: a reader may be moved with its window") {
  VmcoreBuilder builder = layered();
  TemporaryVmcore file(builder);
  Vmcore vmcore = open(file, ReadMethod::kMap);
  VmcoreReader first(vmcore);
  std::vector<std::byte> into(kPageBytes);
  REQUIRE(first.read(0x10000, into).ok());
  VmcoreReader second(std::move(first));
  CHECK(second.read(0x11000, into).ok());
  CHECK(into == expected(builder, 0x11000, into.size()));
}

TEST_CASE("vmcore: errors of opening name the file") {
  CHECK(contains(text_of(Vmcore::open("/no/such/vmcore")),
                 "/no/such/vmcore: cannot open: No such file or directory; "));
  TemporaryVmcore file(layered().truncate_to(10));
  CHECK(contains(text_of(Vmcore::open(file.path())), std::string(file.path()) + ": too short"));
  CHECK(contains(text_of(Vmcore::open("/tmp")), "/tmp: "));
}

TEST_CASE("vmcore: a guarded copy of good memory copies, of a lost page says so") {
  REQUIRE(install_sigbus_guard().ok());
  std::vector<std::byte> from(100, std::byte{7});
  std::vector<std::byte> into(100);
  CHECK(guarded_copy(into, from));
  CHECK(into == from);
}
