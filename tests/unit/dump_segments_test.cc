#include "capture/format/dump_segments.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "capture/format/kdump_reader.h"
#include "capture/kernel/notes.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

std::shared_ptr<const KdumpFile> open(const Content& dump) {
  return std::move(KdumpReader::open(memory_file(dump)).value()).file();
}

constexpr size_t kSubHeader = 4096;

}  // namespace

TEST_CASE("dump_segments: notes are carried over as they are") {
  auto file = open(plain_dump().bytes);
  DumpNotes notes = notes_of_dump(*file);
  CHECK(std::ranges::equal(notes.bytes, file->notes()));
  CHECK(notes.vmcoreinfo_size == vmcoreinfo_text().size());
  CHECK(vmcoreinfo_in(notes.bytes).text() == vmcoreinfo_text());
}

TEST_CASE("dump_segments: VMCOREINFO that stands elsewhere gets a note") {
  Content dump = plain_dump().bytes;
  std::string text = vmcoreinfo_text();
  store(dump, kSubHeader + offsetof(KdumpSubHeader, vmcoreinfo_offset), uint64_t{dump.size()});
  store(dump, kSubHeader + offsetof(KdumpSubHeader, vmcoreinfo_size), uint64_t{text.size()});
  Bytes bytes = std::as_bytes(std::span(text));
  dump.insert(dump.end(), bytes.begin(), bytes.end());
  // With notes that have it, those are used; without any, one is made.
  for (bool with_notes : {true, false}) {
    if (!with_notes) store(dump, kSubHeader + offsetof(KdumpSubHeader, notes_size), uint64_t{0});
    auto file = open(dump);
    DumpNotes notes = notes_of_dump(*file);
    NotesSummary summary = summarize_notes(notes.bytes);
    CHECK_FALSE(summary.damaged);
    CHECK(summary.cpu_count == (with_notes ? 2 : 0));
    CHECK(summary.vmcoreinfo_offset == notes.vmcoreinfo_offset);
    CHECK(summary.vmcoreinfo_size == text.size());
    CHECK(vmcoreinfo_in(notes.bytes).text() == text);
  }
}

TEST_CASE("dump_segments: the kernel's image has its virtual address, other memory none") {
  auto file = open(plain_dump().bytes);
  const PfnRange ranges[] = {{.begin = 1, .end = 0x9f}, {.begin = 0x100, .end = 0x140}};
  std::vector<Segment> segments = segments_of(*file, ranges);
  REQUIRE(segments.size() == 3);
  CHECK(segments[0].virtual_address == kKernelMap + 0x1000000);
  CHECK(segments[0].physical_address == kImagePhysical);
  CHECK(segments[1] == Segment{.file_offset = 0,
                               .virtual_address = 0,
                               .physical_address = 0x1000,
                               .file_size = 0x9e000,
                               .memory_size = 0x9e000});
  CHECK(segments[2].physical_address == 0x100000);
  CHECK(segments[2].memory_size == 0x40000);
  // Where its memory is not in the dump, it is no segment.
  CHECK(segments_of(*file, std::span(ranges).first(1)).size() == 1);
}
