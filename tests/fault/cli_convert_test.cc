// dumpwright convert: every format to every other.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/format/kdump_reader.h"
#include "tests/fault/cli_support.h"
#include "tests/fault/convert_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("cli convert: every format to every other, page by page") {
  TempDir dir;
  small_crash().write_to(dir / "vmcore");
  std::vector<KnownPage> pages = known_pages(small_crash());
  for (const ConvertKind& from : kConvertKinds) {
    Outcome made = convert(dir / "vmcore", dir / from.name, from.options);
    REQUIRE_MESSAGE(made.status == 0, made.err);
    for (const ConvertKind& to : kConvertKinds) {
      CAPTURE(from.name);
      CAPTURE(to.name);
      std::string out = dir / (std::string(from.name) + "-" + to.name);
      Outcome outcome = convert(dir / from.name, out, to.options);
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(outcome.lines().size() == 1);
      CHECK(outcome.out.empty());
      CHECK(compare_file(pages, out).right == pages.size());
      struct stat status {};
      REQUIRE(::stat(out.c_str(), &status) == 0);
      CHECK((status.st_mode & 07777) == 0600);
    }
  }
  for (const std::string& name : dir.tree()) CHECK_FALSE(name.ends_with(".new"));
}

TEST_CASE("cli convert: the headers are carried over, through every format") {
  TempDir dir;
  small_crash("db-7").write_to(dir / "vmcore");
  REQUIRE(capture(dir / "vmcore", {dir / "dumps"}).status == 0);
  std::string folder = dir / "dumps/db-7-20231114T221320Z";
  std::shared_ptr<const KdumpFile> original = open_dump_file(folder + "/vmcore");
  std::string in = folder;  // a directory stands for its dump
  for (const ConvertKind& kind : kConvertKinds) {
    CAPTURE(kind.name);
    std::string out = dir / kind.name;
    REQUIRE(convert(in, out, kind.options).status == 0);
    in = out;
    if (std::string_view(kind.name) == "elf") continue;
    std::shared_ptr<const KdumpFile> file = open_dump_file(out);
    CHECK_FALSE(file->incomplete());
    CHECK(std::ranges::equal(file->notes(), original->notes()));
    CHECK(file->vmcoreinfo() == original->vmcoreinfo());
    CHECK(
        std::ranges::equal(bytes_of(file->header().utsname), bytes_of(original->header().utsname)));
    CHECK(file->header().seconds == original->header().seconds);
    CHECK(file->header().cpu_count == original->header().cpu_count);
    CHECK(file->header().total_ram_blocks == original->header().total_ram_blocks);
    CHECK(file->sub_header().phys_base == original->sub_header().phys_base);
    CHECK(file->max_mapnr() == original->max_mapnr());
    CHECK(file->layout().descriptor_count == original->layout().descriptor_count);
    // An ELF core does not say at which level it was made.
    bool before_elf = std::string_view(kind.name) != "flattened";
    CHECK(file->sub_header().dump_level == (before_elf ? 1 : 0));
  }
}

TEST_CASE("cli convert: pages that were left out stay left out") {
  TempDir dir;
  Content bytes = plain_dump().bytes;
  uint64_t bitmap =
      std::move(KdumpReader::open(memory_file(bytes)).value()).layout().second_bitmap_offset;
  // Of the last page, so that the other descriptors keep their places; nobody counts here.
  bytes[bitmap + 0x13f / 8] &= std::byte{0x7f};
  store(bytes, offsetof(KdumpHeader, written_blocks), uint32_t{0});
  write_content(dir / "in", bytes);
  for (const ConvertKind& kind : kConvertKinds) {
    if (std::string_view(kind.name) == "elf") continue;
    CAPTURE(kind.name);
    Outcome outcome = convert(dir / "in", dir / kind.name, kind.options);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    Comparison result = compare_file(plain_dump().pages, dir / kind.name);
    CHECK(result.excluded == 1);
    CHECK(result.right == plain_dump().pages.size() - 1);
  }
}

TEST_CASE("cli convert: the output does not depend on the number of threads") {
  TempDir dir;
  large_crash(2).write_to(dir / "vmcore");
  for (const ConvertKind& kind : kConvertKinds) {
    CAPTURE(kind.name);
    REQUIRE(convert(dir / "vmcore", dir / "in", kind.options).status == 0);
    for (const char* threads : {"1", "2", "5"}) {
      std::vector<std::string> options = kConvertKinds[3].options;
      options.insert(options.end(), {"--threads", threads});
      REQUIRE(convert(dir / "in", dir / threads, options).status == 0);
    }
    CHECK(read_file(dir / "1") == read_file(dir / "2"));
    CHECK(read_file(dir / "1") == read_file(dir / "5"));
    for (const char* name : {"in", "1", "2", "5"}) ::unlink((dir / name).c_str());
  }
}

TEST_CASE("cli convert: from stream to stream nothing changes but the frames' compression") {
  TempDir dir;
  large_crash(3).write_to(dir / "vmcore");
  REQUIRE(convert(dir / "vmcore", dir / "a", kConvertKinds[3].options).status == 0);
  REQUIRE(convert(dir / "a", dir / "b", kConvertKinds[4].options).status == 0);
  REQUIRE(convert(dir / "b", dir / "c", kConvertKinds[3].options).status == 0);
  CHECK(read_file(dir / "a") == read_file(dir / "c"));
}

TEST_CASE("cli convert: what exists is never overwritten") {
  TempDir dir;
  write_content(dir / "in", plain_dump().bytes);
  write_file(dir / "there", "precious");
  Outcome outcome = convert(dir / "in", dir / "there");
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.err, "there: the file exists"));
  CHECK(read_file(dir / "there") == "precious");
  CHECK(convert(dir / "in", dir / "in").status == 1);
  CHECK(convert(dir / "in", dir.path()).status == 1);
  write_file(dir / "other.new", "being written");
  Outcome busy = convert(dir / "in", dir / "other");
  CHECK(busy.status == 1);
  CHECK(contains(busy.err, "other.new: the file exists"));
  CHECK(read_file(dir / "other.new") == "being written");
  CHECK(dir.tree() == std::vector<std::string>{"in", "other.new", "there"});
}

TEST_CASE("cli convert: files that are not there or are no dumps") {
  TempDir dir;
  write_content(dir / "in", plain_dump().bytes);
  write_file(dir / "garbage", std::string(5000, 'g'));
  check_nothing_written(dir, convert(dir / "in", dir / "folder/out"), "No such file or directory");
  check_nothing_written(dir, convert(dir / "garbage", dir / "out"), "garbage: not a dump");
  check_nothing_written(dir, convert(dir.path(), dir / "out"), "no dump in this directory");
  CHECK(convert(dir / "missing", dir / "out").status == 1);
  CHECK(dir.tree().size() == 2);
}

TEST_CASE("cli convert: a full disk leaves nothing behind") {
  if (!may_mount()) return;
  TempDir dir;
  write_content(dir / "in", plain_dump().bytes);
  large_crash(2).write_to(dir / "large");
  REQUIRE(::mkdir((dir / "disk").c_str(), 0700) == 0);
  SmallDisk disk(dir / "disk", "size=1m");
  for (const ConvertKind& kind : kConvertKinds) {
    CAPTURE(kind.name);
    Outcome outcome = convert(dir / "large", dir / "disk/out", kind.options);
    CHECK(outcome.status == 1);
    CHECK(contains(outcome.err, "No space left on device"));
    CHECK(tree_of(dir / "disk").empty());
  }
  CHECK(convert(dir / "in", dir / "disk/out").status == 0);
}

TEST_CASE("cli convert: pipes") {
  TempDir dir;
  small_crash().write_to(dir / "vmcore");
  auto shell = [&](const std::string& script) {
    std::string program = dumpwright_arguments({})[0];
    Outcome outcome =
        run({"/bin/sh", "-c", "cd " + dir.path() + " && D=" + program + " && " + script});
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
  };
  shell("$D convert vmcore - > stream");
  shell("$D convert vmcore - --compress lz4 | cat | $D convert - from-lz4");
  shell("$D convert stream - --format flattened | cat | $D convert - from-flattened");
  shell("$D convert - from-file < stream");
  shell("$D convert stream - | cat | $D convert - - --format flattened > flattened");
  for (const char* name : {"stream", "from-lz4", "from-flattened", "from-file", "flattened"}) {
    CAPTURE(name);
    CHECK_FALSE(open_dump_file(dir / name)->incomplete());
    CHECK(compare_file(plain_dump().pages, dir / name).right == plain_dump().pages.size());
  }
  Outcome core = run({"/bin/sh", "-c",
                      "cat " + dir / "vmcore" + " | " + dumpwright_arguments({})[0] +
                          " convert - " + dir / "out"});
  CHECK(core.status == 1);
  CHECK(contains(core.err, "an ELF vmcore on standard input"));
}

TEST_CASE("cli convert: usage") {
  TempDir dir;
  write_content(dir / "in", plain_dump().bytes);
  auto refused = [&](std::vector<std::string> arguments, const std::string& what) {
    arguments.insert(arguments.begin(), "convert");
    Outcome outcome = dumpwright(arguments);
    INFO(outcome.err);
    CHECK(outcome.status == 2);
    CHECK(contains(outcome.err, what));
    CHECK(dir.tree().size() == 1);
  };
  std::string in = dir / "in";
  std::string out = dir / "out";
  refused({}, "name the dump to read and the file to write");
  refused({in}, "name the dump to read");
  refused({in, out, out}, "name the dump to read");
  refused({in, out, "--nonsense", "1"}, "no such option");
  refused({in, out, "-x"}, "no such option");
  refused({in, out, "--dump-level", "31"}, "no such option");
  refused({in, out, "--format"}, "needs a value");
  refused({in, out, "--format", "tar"}, "format");
  refused({in, out, "--compress", "bzip2"}, "compress bzip2: must be zstd");
  refused({in, out, "--compress", "zstd:99"}, "compress zstd:99: must be zstd");
  refused({in, out, "--compress", "lz4"}, "has no such compression");
  refused({in, out, "--format", "elf", "--compress", "zstd"}, "has no such compression");
  refused({in, out, "--threads", "0"}, "threads");
  refused({in, out, "--memory-limit", "1K"}, "too little for one thread");
  refused({in, "-", "--format", "kdump"}, "cannot take this format");
  refused({in, "-", "--format", "elf"}, "cannot take this format");
  CHECK(contains(dumpwright({"convert", "--help"}).out, "usage: dumpwright convert"));
}
