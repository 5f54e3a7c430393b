// dumpwright convert: no dump that nobody vouches for, whatever is wrong with the one it reads.

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "capture/format/kdump_reader.h"
#include "tests/fault/cli_support.h"
#include "tests/fault/convert_support.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/thinning.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("cli convert: a cut stream gives what is there, marked, and says where it was cut") {
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    BuiltStream stream =
        build_stream(plain_dump().bytes, plain_dump().data_offset,
                     {.compression = compression, .frame_bytes = 4096, .seek_table = false});
    for (size_t frame = 0; frame < stream.frames.size(); frame += kThinning) {
      size_t begin = stream.frames[frame].begin;
      size_t end = stream.frames[frame].end;
      for (size_t size : {begin, begin + 5, end - 1}) {
        if (size == 0) continue;
        CAPTURE(size);
        TempDir dir;
        write_content(dir / "in", Bytes(stream.bytes).first(size));
        Outcome outcome = convert(dir / "in", dir / "out");
        INFO(outcome.err);
        if (frame <= 2 && size <= stream.frames[2].end - 1) {
          check_nothing_written(dir, outcome, dir / "in: ");
          continue;
        }
        CHECK(outcome.status == 3);
        char where[80];
        std::snprintf(where, sizeof(where), "in was cut at offset 0x%zx", begin);
        CHECK(contains(outcome.err, where));
        CHECK(open_dump_file(dir / "out")->incomplete());
        Comparison result = compare_file(plain_dump().pages, dir / "out");
        CHECK(result.right > 0);
        CHECK(result.right + result.missing == plain_dump().pages.size());
        if (result.missing > 0) {
          CHECK(contains(outcome.err, " pages are missing in "));
          Outcome core = convert(dir / "in", dir / "core", {"--format", "elf"});
          CHECK(core.status == 1);
          CHECK(contains(core.err, "which an ELF core cannot say"));
          CHECK(dir.tree() == std::vector<std::string>{"in", "out"});
        }
      }
    }
  }
}

TEST_CASE("cli convert: missing pages stay missing from format to format") {
  TempDir dir;
  uint64_t slot = plain_dump().data_offset + 3 * kPageBytes;
  write_content(dir / "in", build_stream(plain_dump().bytes, plain_dump().data_offset,
                                         {.missing = {slot, slot + kPageBytes}})
                                .bytes);
  std::string in = dir / "in";
  for (const ConvertKind& kind : kConvertKinds) {
    if (std::string_view(kind.name) == "elf") continue;
    CAPTURE(kind.name);
    Outcome outcome = convert(in, dir / kind.name, kind.options);
    CHECK(outcome.status == 3);
    in = dir / kind.name;
    CHECK(open_dump_file(in)->incomplete());
    Comparison result = compare_file(plain_dump().pages, in);
    CHECK(result.missing == 2);
    CHECK(result.right == plain_dump().pages.size() - 2);
  }
}

// Pages that are stored as they are have nothing that could tell; in streams everything has.
TEST_CASE("cli convert: a flipped bit is reported, or changes no page") {
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    BuiltStream stream = build_stream(plain_dump().bytes, plain_dump().data_offset,
                                      {.compression = compression,
                                       .frame_bytes = 4096,
                                       .missing = {plain_dump().data_offset + 2 * kPageBytes}});
    unsigned refused = 0;
    for (size_t at = 0; at < stream.bytes.size(); at += 1 + at % 997) {
      CAPTURE(at);
      TempDir dir;
      Content changed = stream.bytes;
      changed[at] ^= static_cast<std::byte>(1U << (at % 8));
      write_content(dir / "in", changed);
      Outcome outcome = convert(dir / "in", dir / "out");
      if (outcome.status == 1) {
        check_nothing_written(dir, outcome, dir / "in: ");
        // Without its magic number it is no stream at all.
        if (at >= 4) CHECK(contains(outcome.err, " at offset 0x"));
        ++refused;
        continue;
      }
      CHECK(outcome.status == 3);
      Comparison result = compare_file(plain_dump().pages, dir / "out");
      CHECK(result.right + result.missing == plain_dump().pages.size());
    }
    CHECK(refused > 20);
  }
}

TEST_CASE("cli convert: a flipped bit in a kdump file's tables and frames") {
  TempDir made;
  small_crash().write_to(made / "vmcore");
  REQUIRE(convert(made / "vmcore", made / "dump").status == 0);
  std::string whole = read_file(made / "dump");
  std::shared_ptr<const KdumpFile> file = open_dump_file(made / "dump");
  uint64_t table = file->layout().descriptors_offset;
  auto may_flip = [&](uint64_t at) {
    std::unique_ptr<ByteReader> reader = std::move(file->source().open_reader().value());
    std::vector<PageDescriptor> descriptors(file->layout().descriptor_count);
    REQUIRE(file->read_descriptors(*reader, 0, descriptors).ok());
    for (size_t i = 0; i < descriptors.size(); ++i) {
      if (descriptors[i].flags != 0) continue;
      uint64_t entry = table + i * sizeof(PageDescriptor);
      if (at >= entry && at < entry + 16) return false;
      if (at >= descriptors[i].offset && at < descriptors[i].offset + kPageBytes) return false;
    }
    return true;
  };
  unsigned refused = 0;
  for (size_t at = file->layout().second_bitmap_offset; at < whole.size();
       at += kThinning * (1 + at % 61)) {
    if (!may_flip(at)) continue;
    CAPTURE(at);
    TempDir dir;
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    write_file(dir / "in", changed);
    Outcome outcome = convert(dir / "in", dir / "out");
    if (outcome.status == 1) {
      check_nothing_written(dir, outcome, dir / "in: ");
      CHECK(contains(outcome.err, " at offset 0x"));
      ++refused;
    } else {
      Comparison result = compare_file(plain_dump().pages, dir / "out");
      CHECK(result.right + result.missing == plain_dump().pages.size());
      CHECK((outcome.status == 3) == (result.missing > 0));
    }
  }
  CHECK(refused > 20 / kThinning);
}

TEST_CASE("cli convert: a damaged page is told with its number and its place") {
  TempDir dir;
  small_crash().write_to(dir / "vmcore");
  REQUIRE(convert(dir / "vmcore", dir / "in").status == 0);
  std::shared_ptr<const KdumpFile> file = open_dump_file(dir / "in");
  PageDescriptor descriptor;
  std::unique_ptr<ByteReader> reader = std::move(file->source().open_reader().value());
  REQUIRE(file->read_descriptors(*reader, 1, std::span(&descriptor, 1)).ok());  // of pfn 2
  REQUIRE(descriptor.flags == kPageZstd);
  std::string content = read_file(dir / "in");
  content[descriptor.offset + descriptor.size / 2] ^= 1;
  write_file(dir / "in", content);
  char where[80];
  std::snprintf(where, sizeof(where), "in: pfn 0x2: a compressed page is damaged at offset 0x%lx",
                static_cast<unsigned long>(descriptor.offset));
  check_nothing_written(dir, convert(dir / "in", dir / "out"), where);
}

TEST_CASE("cli convert: a seek table that lies") {
  TempDir dir;
  BuiltStream stream = build_stream(plain_dump().bytes, plain_dump().data_offset, {});
  Content changed = stream.bytes;
  changed[stream.frames.back().begin + 8 + 4] ^= std::byte{1};
  write_content(dir / "in", changed);
  check_nothing_written(dir, convert(dir / "in", dir / "out"),
                        "in: the seek table does not match the frames at offset 0x");
}

TEST_CASE("cli convert: a cut kdump file and a cut flattened one") {
  TempDir dir;
  Content flat = build_flattened(plain_dump().bytes, even_records(plain_dump().bytes.size(), 4096));
  const Content* files[] = {&plain_dump().bytes, &flat};
  for (const Content* file : files) {
    write_content(dir / "in", Bytes(*file).first(file->size() - 5 * kPageBytes));
    Outcome outcome = convert(dir / "in", dir / "out");
    CHECK_MESSAGE(outcome.status == 3, outcome.err);
    Comparison result = compare_file(plain_dump().pages, dir / "out");
    CHECK(result.missing >= 5);
    CHECK(result.right + result.missing == plain_dump().pages.size());
    REQUIRE(::unlink((dir / "out").c_str()) == 0);
  }
}
