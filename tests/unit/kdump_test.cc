#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "capture/format/kdump_format.h"
#include "capture/format/kdump_reader.h"
#include "capture/format/kdump_writer.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

// The dump of `builder`, sealed.
std::vector<std::byte> dump_of(const VmcoreBuilder& builder, const CaptureSettings& settings) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  MemoryTarget target;
  REQUIRE(capture_into(target, vmcore, settings).ok());
  REQUIRE(target.synced_state() == MemoryTarget::State::kSealed);
  CHECK(target.synced() == target.content());
  return target.synced();
}

KdumpReader open(const std::vector<std::byte>& dump) {
  Result<KdumpReader> reader = KdumpReader::open(memory_file(dump));
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  return std::move(*reader);
}

std::string open_error(std::vector<std::byte> dump) {
  return text_of(KdumpReader::open(memory_file(dump)));
}

template <typename T>
std::vector<std::byte> with(std::vector<std::byte> dump, uint64_t offset, T value) {
  store(dump, offset, value);
  return dump;
}

constexpr CaptureSettings kPlain{.compression = {.compression = Compression::kNone}};
constexpr CaptureSettings kZstd{};
constexpr CaptureSettings kZlib{.compression = {.compression = Compression::kZlib}};

}  // namespace

TEST_CASE("kdump: the layout has no gaps and no overlaps") {
  KdumpLayout layout = make_kdump_layout(4096, 5000, 300000).value();
  layout.set_descriptor_count(1000);
  CHECK(layout.sub_header_offset == 4096);
  CHECK(layout.notes_offset == 4096 + 104);
  CHECK(layout.first_bitmap_offset == 3 * 4096);
  CHECK(layout.bitmap_size == 40960);  // 37,500 bytes
  CHECK(layout.second_bitmap_offset == 3 * 4096 + 40960);
  CHECK(layout.descriptors_offset == 3 * 4096 + 2 * 40960);
  CHECK(layout.data_offset == layout.descriptors_offset + 6 * 4096);  // 24,000 bytes
}

TEST_CASE("kdump: every page comes back, with and without compression") {
  VmcoreBuilder builder = small_crash();
  std::vector<KnownPage> pages = known_pages(builder);
  for (const CaptureSettings& settings : {kPlain, kZstd, kZlib}) {
    std::vector<std::byte> dump = dump_of(builder, settings);
    KdumpReader reader = open(dump);
    CHECK_FALSE(reader.incomplete());
    Comparison result = compare(pages, reader);
    CHECK(result.right == pages.size());
    CHECK(result.wrong == 0);
    KdumpSummary summary = reader.summarize().value();
    CHECK(summary.ram == pages.size());
    CHECK(summary.kept == pages.size());
    CHECK(summary.stored + summary.shared == pages.size());
    CHECK(summary.stored == 3 + 4 + 1 + 1 + 5);  // text, random, filled, utsname, text
    CHECK(summary.missing == 0);
    CHECK(summary.damaged == 0);
  }
}

TEST_CASE("kdump: the headers say what the crash was") {
  VmcoreBuilder builder = small_crash("db-7");
  KdumpReader reader = open(dump_of(builder, kZstd));
  CHECK(std::string_view(reader.header().utsname.nodename) == "db-7");
  CHECK(reader.header().seconds == 1700000000);
  CHECK(reader.header().microseconds == 0);
  CHECK(reader.header().cpu_count == 2);
  CHECK(reader.header().status == kPageZstd);
  CHECK(open(dump_of(builder, kZlib)).header().status == kPageZlib);
  CHECK(reader.sub_header().phys_base == uint64_t{0} - 0xf00000);
  CHECK(reader.sub_header().dump_level == 1);
  CHECK(reader.max_mapnr() == 0x140);
  CHECK(std::ranges::equal(reader.notes(), builder.notes()));
  CHECK(reader.vmcoreinfo() == vmcoreinfo_text());
}

TEST_CASE("kdump: without notes there is neither note nor VMCOREINFO") {
  VmcoreBuilder builder;
  builder.add_ram(0x1000, 0x4000).fill(0x2000, 100, 1);
  KdumpReader reader = open(dump_of(builder, kZstd));
  CHECK(reader.notes().empty());
  CHECK(reader.vmcoreinfo().empty());
  CHECK(reader.sub_header().notes_offset == 0);
}

TEST_CASE("kdump: pages outside RAM are excluded") {
  KdumpReader reader = open(dump_of(small_crash(), kZstd));
  std::vector<std::byte> page(kPageBytes);
  for (uint64_t pfn : {uint64_t{0}, uint64_t{0xa0}, uint64_t{0x140}, ~uint64_t{0}})
    CHECK(reader.read_page(pfn, page).value() == KdumpReader::PageFate::kExcluded);
}

TEST_CASE("kdump: memory above 4 GiB and across bitmap blocks") {
  VmcoreBuilder builder;
  uint64_t high = uint64_t{5} << 30;
  builder.add_ram(0x1000, 0x3000).add_ram(0x7fff000, 0x2000).add_ram(high, 0x3000);
  builder.fill(0x2000, 10, 1).fill(0x8000000, 10, 2).fill_random(high, 0x2000, 3);
  KdumpReader reader = open(dump_of(builder, kZstd));
  CHECK(compare(known_pages(builder), reader).right == 8);
}

TEST_CASE("kdump: a file that is no dump of ours, with the reason") {
  std::vector<std::byte> dump = dump_of(small_crash(), kZstd);
  CHECK(contains(open_error({}), "too short for a kdump header"));
  CHECK(contains(open_error(with(dump, 0, 'X')), "not a kdump file"));
  CHECK(contains(open_error(with(dump, 8, int32_t{5})), "older than header version 6"));
  CHECK(contains(open_error(with(dump, 428, int32_t{4095})), "impossible block size"));
  CHECK(contains(open_error(with(dump, 428, int32_t{-4096})), "impossible block size"));
  CHECK(contains(open_error(with(dump, 432, int32_t{0})), "impossible sub header size"));
  CHECK(contains(open_error(with(dump, 432, int32_t{0x7fffffff})), "ends inside the bitmaps"));
  CHECK(contains(open_error(with(dump, 436, ~uint32_t{0})), "ends inside the bitmaps"));
  CHECK(contains(open_error(with(dump, 436, uint32_t{0})), "shorter than the memory"));
  CHECK(contains(open_error(with(dump, 4096 + 96, ~uint64_t{0})), "shorter than the memory"));
  CHECK(contains(open_error(with(dump, 4096 + 48, ~uint64_t{0} - 7)), "the ELF notes lie outside"));
  CHECK(
      contains(open_error(with(dump, 4096 + 56, uint64_t{1} << 40)), "the ELF notes lie outside"));
  CHECK(contains(open_error(with(dump, 4096 + 32, ~uint64_t{0})), "VMCOREINFO lies outside"));
}

TEST_CASE("kdump: a damaged descriptor is said, never followed") {
  std::vector<std::byte> dump = dump_of(small_crash(), kZstd);
  uint64_t at = open(dump).layout().descriptors_offset + sizeof(PageDescriptor);  // of pfn 2
  std::vector<std::byte> page(kPageBytes);
  for (PageDescriptor lie :
       {PageDescriptor{~uint64_t{0}, 100, kPageZstd, 0}, PageDescriptor{0, 100, kPageZstd, 0},
        PageDescriptor{uint64_t{1} << 40, 100, kPageZstd, 0}, PageDescriptor{at, 100, kPageZstd, 0},
        PageDescriptor{dump.size() - 4096, 4095, 0, 0},
        PageDescriptor{dump.size() - 8192, 4097, kPageZstd, 0}}) {
    KdumpReader reader = open(with(dump, at, lie));
    CHECK(text_of(reader.read_page(2, page))
              .starts_with("pfn 0x2: a page descriptor is damaged at offset 0x"));
    CHECK(reader.summarize()->damaged == 1);
  }
  PageDescriptor lz4{dump.size() - 4096, 4096, 0x40, 0};
  Result<KdumpReader::PageFate> unknown = open(with(dump, at, lz4)).read_page(2, page);
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().kind() == ErrorKind::kUnsupported);
}

TEST_CASE("kdump: an all-zero descriptor is a missing page") {
  std::vector<std::byte> dump = dump_of(small_crash(), kZstd);
  uint64_t at = open(dump).layout().descriptors_offset + sizeof(PageDescriptor);
  KdumpReader reader = open(with(dump, at, PageDescriptor{}));
  std::vector<std::byte> page(kPageBytes);
  CHECK(reader.read_page(2, page).value() == KdumpReader::PageFate::kMissing);
  CHECK(reader.summarize()->missing == 1);
}

TEST_CASE("kdump: pages beyond the end of a cut file are missing, the others read") {
  VmcoreBuilder builder = small_crash();
  std::vector<KnownPage> pages = known_pages(builder);
  std::vector<std::byte> dump = dump_of(builder, kPlain);
  for (size_t cut : {size_t{1}, size_t{4096}, size_t{4 * 4096 + 17}}) {
    CAPTURE(cut);
    KdumpReader reader = open({dump.begin(), dump.end() - static_cast<ptrdiff_t>(cut)});
    Comparison result = compare(pages, reader);
    CHECK(result.missing == (cut + 4095) / 4096);
    CHECK(result.right + result.missing == pages.size());
    CHECK(reader.summarize()->missing == result.missing);
  }
}

TEST_CASE("kdump: a run of pages reads as the pages do one by one") {
  VmcoreBuilder builder = small_crash();
  std::vector<KnownPage> known = known_pages(builder);
  for (const CaptureSettings& settings : {kPlain, kZstd}) {
    KdumpReader reader = open(dump_of(builder, settings));
    for (auto [first, count] : {std::pair{0U, 64U}, {1, 1}, {0x90, 32}, {0x110, 64}, {0x140, 8}}) {
      std::vector<std::byte> run(count * kPageBytes);
      uint64_t read = reader.read_pages(first, count, run).value();
      uint64_t expected = 0;
      for (const KnownPage& page : known) {
        if (page.pfn < first || page.pfn >= first + count) continue;
        expected |= uint64_t{1} << (page.pfn - first);
        CHECK(std::ranges::equal(
            page.content, std::span(run).subspan((page.pfn - first) * kPageBytes, kPageBytes)));
      }
      CHECK(read == expected);
    }
  }
}

TEST_CASE("kdump: both bitmaps come back, whatever lies beyond the last page frame") {
  std::vector<std::byte> dump = dump_of(small_crash(), kPlain);
  KdumpReader whole = open(dump);
  uint64_t beyond = whole.layout().second_bitmap_offset + 0x140 / 8;
  KdumpReader reader = open(with(dump, beyond, ~uint64_t{0}));
  std::vector<std::byte> kept(0x200 / 8);
  std::vector<std::byte> present(0x200 / 8);
  REQUIRE(reader.read_kept_bits(0, kept).ok());
  REQUIRE(reader.read_present_bits(0, present).ok());
  CHECK(kept == present);
  CHECK(kept[0] == std::byte{0xfe});
  CHECK(kept[0x140 / 8 - 1] == std::byte{0xff});
  CHECK(kept[0x140 / 8] == std::byte{0});
  CHECK(reader.layout().descriptor_count == whole.layout().descriptor_count);
}

TEST_CASE("kdump: one part of a split dump is refused") {
  CHECK(contains(open_error(with(dump_of(small_crash(), kPlain), 4096 + 12, int32_t{1})),
                 "--reassemble"));
}

TEST_CASE("kdump: pages that could not be had make an incomplete dump") {
  MemoryTarget target;
  KdumpDescription description;
  description.max_mapnr = 8;
  auto writer = std::move(KdumpWriter::create(target, description, {}, 4096).value());
  std::array<std::byte, 8> bits{std::byte{6}};
  REQUIRE(writer->write_bitmaps(0, bits, bits).ok());
  TemporaryVmcore vmcore(VmcoreBuilder().add_ram(0x1000, 0x2000));
  Plan plan = whole_plan(std::move(Vmcore::open(vmcore.path()).value())).plan;
  REQUIRE(writer->begin(plan).ok());
  REQUIRE(writer->publish().ok());
  BatchOutput output = std::move(BatchOutput::create(4096).value());
  std::vector<std::byte> data(4096, std::byte{9});
  std::ranges::copy(data, output.room().begin());
  output.use(4096);
  output.add({.state = PageState::kMissing});
  output.add({.size = 4096, .state = PageState::kStored, .where = 0});
  PlannedBatch batch;
  BatchCursor cursor(plan);
  REQUIRE(cursor.next(batch));
  REQUIRE(writer->append(batch, output).ok());
  REQUIRE(writer->finish(false).ok());
  CHECK(target.synced_state() == MemoryTarget::State::kPublished);
  KdumpReader reader = open(target.synced());
  CHECK(reader.incomplete());
  std::vector<std::byte> page(4096);
  CHECK(reader.read_page(1, page).value() == KdumpReader::PageFate::kMissing);
  CHECK(reader.read_page(2, page).value() == KdumpReader::PageFate::kRead);
  CHECK(page == data);
}

TEST_CASE("kdump: recognizes its own signature only") {
  CHECK(KdumpReader::recognizes(memory_file(dump_of(small_crash(), kPlain)).get()).value());
  CHECK_FALSE(KdumpReader::recognizes(memory_file({}).get()).value());
  TemporaryVmcore vmcore(small_crash());
  CHECK_FALSE(KdumpReader::recognizes(vmcore.fd()).value());
}
