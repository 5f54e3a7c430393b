#include "capture/format/elf_writer.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "capture/target/file_target.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

constexpr CaptureSettings kElf{.format = DumpFormat::kElf,
                               .compression = {.compression = Compression::kNone}};

Image dump_of(const VmcoreBuilder& builder, CaptureSettings settings = kElf) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  MemoryTarget target;
  Status captured = capture_into(target, vmcore, settings);
  REQUIRE_MESSAGE(captured.ok(), text_of(captured));
  REQUIRE(target.synced_state() == MemoryTarget::State::kSealed);
  return target.synced();
}

// Every page of RAM, read back from the core by its physical address.
void check_pages(const Image& core, const VmcoreBuilder& builder) {
  Fd file = memory_file(core);
  Vmcore vmcore =
      std::move(Vmcore::open(golden::memfd_path(file.get()).c_str(), ReadMethod::kRead).value());
  VmcoreReader reader(vmcore);
  for (const KnownPage& page : known_pages(builder)) {
    Image back(kPageBytes);
    CAPTURE(page.pfn);
    REQUIRE(reader.read_pages(page.pfn, 1, back) == 1);
    CHECK((back == page.content));
  }
}

}  // namespace

TEST_CASE("elf_writer: the core has the vmcore's segments, notes and pages") {
  VmcoreBuilder builder = small_crash();
  builder.add_ram((uint64_t{4} << 30) + 0x5400, 0x9000);
  builder.fill_random((uint64_t{4} << 30) + 0x6000, 0x3000, 17);
  TemporaryVmcore input(builder);
  Vmcore vmcore = std::move(Vmcore::open(input.path()).value());
  Image core = dump_of(builder);
  Fd file = memory_file(core);
  ElfHeaders headers = read_elf_headers(file.get(), core.size()).value();
  CHECK((headers.notes == vmcore.headers().notes));
  REQUIRE(headers.segments.size() == vmcore.headers().segments.size());
  for (size_t i = 0; i < headers.segments.size(); ++i) {
    Segment expected = vmcore.headers().segments[i];
    expected.file_offset = headers.segments[i].file_offset;
    CHECK(headers.segments[i] == expected);
    CHECK(expected.file_offset % kPageBytes == expected.physical_address % kPageBytes);
  }
  // The image lies in RAM: both segments show the same bytes.
  CHECK(headers.segments[0].file_offset == headers.segments[2].file_offset);
  check_pages(core, builder);
}

TEST_CASE("elf_writer: more program headers than fit in one piece, and pages shared by segments") {
  VmcoreBuilder builder;
  builder.add_cpus(1);
  for (uint64_t i = 0; i < 200; ++i)
    builder.add_ram(0x10000 + i * 0x600, 0x400).fill(0x10000 + i * 0x600, 0x400, uint8_t(i + 1));
  check_pages(dump_of(builder), builder);
}

TEST_CASE("elf_writer: the same bytes for any number of threads") {
  VmcoreBuilder builder = large_crash(5);
  Image one = dump_of(builder);
  for (unsigned threads : {2U, 8U}) {
    CaptureSettings settings = kElf;
    settings.threads = threads;
    CHECK((dump_of(builder, settings) == one));
  }
}

TEST_CASE("elf_writer: on a disk, zero pages take no space") {
  VmcoreBuilder builder = small_crash();
  builder.add_ram(0x10000000, 64 << 20);
  TemporaryVmcore input(builder);
  Vmcore vmcore = std::move(Vmcore::open(input.path()).value());
  TempDir dir;
  {
    Fd root = std::move(FileTarget::open_root(dir.path()).value());
    FileTarget target =
        std::move(FileTarget::create(root.get(), "host", dir / "host", kElfName).value());
    REQUIRE(capture_into(target, vmcore, kElf).ok());
  }
  struct stat status {};
  REQUIRE(::stat((dir / "host/vmcore.elf").c_str(), &status) == 0);
  CHECK(status.st_size > 64 << 20);
  CHECK(status.st_blocks * 512 < 1 << 20);
}

TEST_CASE("elf_writer: pages that cannot be read leave an incomplete core of full length") {
  VmcoreBuilder builder = large_crash(3);
  TemporaryVmcore input(builder);
  Vmcore vmcore = std::move(Vmcore::open(input.path(), ReadMethod::kRead).value());
  REQUIRE(::ftruncate(input.fd(), static_cast<off_t>(builder.file_size() - 10 * 4096)) == 0);
  MemoryTarget target;
  REQUIRE(capture_into(target, vmcore, kElf).ok());
  CHECK(target.synced_state() == MemoryTarget::State::kPublished);
  Image whole = dump_of(builder);
  REQUIRE(target.synced().size() == whole.size());
  // The last ten pages of RAM are zeros, all else is there.
  Bytes tail = Bytes(target.synced()).last(10 * kPageBytes);
  CHECK(std::ranges::all_of(tail, [](std::byte byte) { return byte == std::byte{0}; }));
  size_t head = whole.size() - tail.size();
  CHECK(std::ranges::equal(Bytes(target.synced()).first(head), Bytes(whole).first(head)));
}

TEST_CASE("elf_writer: too many segments are refused") {
  MemoryTarget target;
  std::vector<Segment> segments(kMaxProgramHeaders);
  ElfDescription description;
  description.segments = segments;
  auto made = ElfWriter::create(target, description, JournalHeader{.page_size = 4096});
  CHECK(text_of(made) ==
        "memory is in too many pieces for an ELF core; use --format kdump or stream");
  description.segments = std::span(segments).first(kMaxProgramHeaders - 1);
  CHECK(ElfWriter::create(target, description, JournalHeader{.page_size = 4096}).ok());
}
