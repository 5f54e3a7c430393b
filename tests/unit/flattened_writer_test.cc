#include "capture/format/flattened_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "capture/base/checked.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/frames.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

uint64_t big_endian(Bytes bytes, size_t at) { return __builtin_bswap64(load<uint64_t>(bytes, at)); }

struct Unpacked {
  Image file;
  bool ended = false;        // by the record that says so, and nothing behind it
  uint64_t overlapping = 0;  // bytes that more than one record brings
};

// What makedumpfile -R does.
Unpacked unpack(const Image& flattened) {
  Unpacked unpacked;
  Bytes bytes(flattened);
  REQUIRE(bytes.size() >= 4096);
  CHECK(std::string_view(reinterpret_cast<const char*>(bytes.data()), 13) ==
        std::string_view("makedumpfile\0", 13));
  CHECK(big_endian(bytes, 16) == 1);
  CHECK(big_endian(bytes, 24) == 1);
  std::map<uint64_t, uint64_t> records;  // offset, size
  for (size_t at = 4096; at + 16 <= bytes.size();) {
    uint64_t offset = big_endian(bytes, at);
    uint64_t size = big_endian(bytes, at + 8);
    at += 16;
    if (offset == ~uint64_t{0} && size == ~uint64_t{0}) {
      unpacked.ended = at == bytes.size();
      break;
    }
    REQUIRE(range_fits(at, size, bytes.size()));
    unpacked.file.resize(std::max<size_t>(unpacked.file.size(), offset + size));
    std::ranges::copy(bytes.subspan(at, size),
                      unpacked.file.begin() + static_cast<ptrdiff_t>(offset));
    CHECK(records.emplace(offset, size).second);
    at += size;
  }
  uint64_t end = 0;
  for (const auto& [offset, size] : records) {
    if (offset < end) unpacked.overlapping += end - offset;
    end = std::max(end, offset + size);
  }
  return unpacked;
}

template <typename CaptureTarget>
Image dump_of(const VmcoreBuilder& builder, CaptureSettings settings) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CaptureTarget target;
  Status captured = capture_into(target, vmcore, settings);
  REQUIRE_MESSAGE(captured.ok(), text_of(captured));
  REQUIRE(target.synced_state() == MemoryTarget::State::kSealed);
  return target.synced();
}

}  // namespace

TEST_CASE("flattened_writer: unpacked, it is the file that a directory gets") {
  VmcoreBuilder far_apart = small_crash();  // with windows between that have no memory
  far_apart.add_ram(uint64_t{5} << 30, 40 * kPageBytes).fill(uint64_t{5} << 30, 9000, 0x77);
  for (const VmcoreBuilder& builder : {small_crash(), large_crash(2), far_apart}) {
    for (Compression codec : {Compression::kNone, Compression::kZstd, Compression::kZlib}) {
      CAPTURE(name_of(codec));
      CaptureSettings settings{.compression = {.compression = codec}};
      Image expected = dump_of<MemoryTarget>(builder, settings);
      settings.format = DumpFormat::kFlattened;
      Image flattened = dump_of<AppendTarget>(builder, settings);
      Unpacked unpacked = unpack(flattened);
      CHECK(unpacked.ended);
      CHECK(unpacked.overlapping == 0);
      CHECK((unpacked.file == expected));
      settings.checkpoint_each_batch = true;
      CHECK((unpack(dump_of<AppendTarget>(builder, settings)).file == expected));
    }
  }
}

// Where the records of a checkpoint stand in the flattened file depends on when it came.
TEST_CASE("flattened_writer: unpacked, the same bytes for any number of threads") {
  VmcoreBuilder builder = large_crash(5);
  CaptureSettings settings{.format = DumpFormat::kFlattened, .compression = {}};
  Image one = unpack(dump_of<AppendTarget>(builder, settings)).file;
  for (unsigned threads : {2U, 8U}) {
    settings.threads = threads;
    CHECK((unpack(dump_of<AppendTarget>(builder, settings)).file == one));
  }
}

TEST_CASE("flattened_writer: with pages missing it ends like any other, and says INCOMPLETE") {
  VmcoreBuilder builder = large_crash(3);
  std::vector<KnownPage> pages = known_pages(builder);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path(), ReadMethod::kRead).value());
  REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(builder.file_size() - 10 * 4096)) == 0);
  AppendTarget target;
  CaptureSettings settings{.format = DumpFormat::kFlattened, .compression = {}};
  REQUIRE(capture_into(target, vmcore, settings).ok());
  CHECK(target.state() == MemoryTarget::State::kPublished);
  Unpacked unpacked = unpack(target.content());
  CHECK(unpacked.ended);
  KdumpReader reader = std::move(KdumpReader::open(memory_file(unpacked.file)).value());
  CHECK(reader.incomplete());
  Comparison result = compare(pages, reader);
  CHECK(result.missing == 10);
  CHECK(result.right == pages.size() - 10);
}

TEST_CASE("flattened_writer: a pipe that breaks at any byte is an error") {
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CaptureSettings settings{.format = DumpFormat::kFlattened, .compression = {}};
  AppendTarget whole;
  FaultTarget counting(whole, ~uint64_t{0}, EPIPE);
  REQUIRE(counting.rewritable() == whole.rewritable());
  REQUIRE(capture_into(counting, vmcore, settings).ok());
  for (uint64_t k = 0; k < counting.calls(); ++k) {
    AppendTarget pipe;
    FaultTarget target(pipe, k, EPIPE);
    Status captured = capture_into(target, vmcore, settings);
    REQUIRE_FALSE(captured.ok());
    CHECK(captured.error().errno_value() == EPIPE);
    CHECK(pipe.state() != MemoryTarget::State::kSealed);
  }
}
