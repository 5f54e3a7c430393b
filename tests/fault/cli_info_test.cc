// dumpwright info on everything that somebody may point it at.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("cli info: a vmcore") {
  SavedDump saved;
  Outcome info = dumpwright({"info", saved.dir / "input"});
  CHECK(info.status == 0);
  CHECK(info.err.empty());
  for (const char* part : {": ELF vmcore\n", "Linux 6.1.0-test x86_64", "web-1",
                           "2023-11-14T22:13:20Z", "222 (0.9 MiB)"})
    CHECK_MESSAGE(contains(info.out, part), part);
}

TEST_CASE("cli info: a dump, and its directory") {
  SavedDump saved;
  for (const std::string& path : {saved.dump(), saved.folder()}) {
    Outcome info = dumpwright({"info", path});
    CHECK(info.status == 0);
    CHECK(info.err.empty());
    for (const char* part : {": kdump file, version 6, complete\n", "Linux 6.1.0-test x86_64",
                             "web-1", "2023-11-14T22:13:20Z", "dump level  1, compression zstd"})
      CHECK_MESSAGE(contains(info.out, part), part);
  }
}

TEST_CASE("cli info: streams and flattened files, whole and cut") {
  TempDir dir;
  const PlainDump& dump = plain_dump();
  auto text = [](const Content& content, size_t size) {
    return std::string_view(reinterpret_cast<const char*>(content.data()), size);
  };
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    BuiltStream stream =
        build_stream(dump.bytes, dump.data_offset,
                     {.compression = compression, .frame_bytes = 4096, .seek_table = false});
    write_file(dir / "whole", text(stream.bytes, stream.bytes.size()));
    Outcome whole = dumpwright({"info", dir / "whole"});
    CHECK(whole.status == 0);
    std::string method = compression == Compression::kZstd ? "zstd" : "lz4";
    CHECK(contains(whole.out, " stream of a kdump file, version 6, complete\n"));
    CHECK(contains(whole.out, "compression " + method));
    CHECK_FALSE(contains(whole.out, "CUT"));
    size_t cut = stream.frames[4].begin;
    write_file(dir / "cut", text(stream.bytes, cut + 7));
    Outcome part = dumpwright({"info", dir / "cut"});
    CHECK(part.status == 0);
    CHECK(contains(part.out, " stream of a kdump file, version 6, INCOMPLETE\n"));
    CHECK(contains(part.out, "CUT"));
    Outcome json = dumpwright({"info", "--json", dir / "cut"});
    CHECK(contains(json.out, "\"kind\": \"stream\", \"complete\": false"));
    CHECK(contains(json.out, "\"cut_at\": " + std::to_string(cut)));
    write_file(dir / "damaged", std::string(text(stream.bytes, cut)) + "xxxxxxxxxxxxxxxxxxx");
    check_refused(dumpwright({"info", dir / "damaged"}), dir / "damaged", "no frame begins here");
  }
  Content flat = build_flattened(dump.bytes, even_records(dump.bytes.size(), 4096));
  write_file(dir / "flat", text(flat, flat.size()));
  CHECK(contains(dumpwright({"info", dir / "flat"}).out,
                 "flattened kdump file, version 6, complete"));
  CHECK(contains(dumpwright({"info", "--json", dir / "flat"}).out, "\"kind\": \"flattened\""));
}

TEST_CASE("cli info: the directory of a dump of any format") {
  TempDir dir;
  REQUIRE(::mkdir((dir / "dump").c_str(), 0700) == 0);
  small_crash().write_to(dir / "dump/vmcore.elf.incomplete");
  CHECK(contains(dumpwright({"info", dir / "dump"}).out, "vmcore.elf.incomplete: ELF vmcore"));
  write_file(dir / "dump/vmcore.zst", "x");
  CHECK(contains(dumpwright({"info", dir / "dump"}).err, "dump/vmcore.zst: "));
}

TEST_CASE("cli info: JSON, of both, on one line") {
  SavedDump saved;
  for (const std::string& path : {saved.dump(), saved.dir / "input"}) {
    Outcome info = dumpwright({"info", "--json", path});
    CHECK(info.status == 0);
    CHECK(info.out.starts_with("{\"path\": \""));
    CHECK(info.out.ends_with("}\n"));
    CHECK(info.out.find('\n') == info.out.size() - 1);
    CHECK(contains(info.out, "\"release\": \"6.1.0-test\""));
    CHECK(contains(info.out, "\"ram\": 222"));
  }
  CHECK(contains(dumpwright({"info", "--json", saved.dump()}).out, "\"complete\": true"));
}

TEST_CASE("cli info: a dump cut at any length is told or refused") {
  SavedDump saved;
  std::string whole = read_file(saved.dump());
  unsigned told = 0;
  for (size_t size = 0; size < whole.size(); size += 1777) {
    CAPTURE(size);
    write_file(saved.dir / "cut", std::string_view(whole).substr(0, size));
    Outcome info = dumpwright({"info", saved.dir / "cut"});
    CHECK_FALSE(info.timed_out);
    CHECK(info.signal == 0);
    CHECK((info.status == 0 || info.status == 1));
    if (info.status == 1) CHECK(contains(info.err, saved.dir / "cut: "));
    if (info.status == 0) ++told;
  }
  CHECK(told > 2);
}

TEST_CASE("cli info: things that are neither") {
  TempDir dir;
  write_file(dir / "garbage", std::string(10000, 'g'));
  write_file(dir / "empty", "");
  write_file(dir / "short", "KDUMP   ");
  REQUIRE(::mkdir((dir / "folder").c_str(), 0700) == 0);
  check_refused(dumpwright({"info", dir / "garbage"}), dir / "garbage", "not an ELF file");
  check_refused(dumpwright({"info", dir / "empty"}), dir / "empty", "the file is empty");
  check_refused(dumpwright({"info", dir / "short"}), dir / "short", "too short for a kdump header");
  check_refused(dumpwright({"info", dir / "folder"}), dir / "folder", "no dump in this directory");
  Outcome missing = dumpwright({"info", dir / "missing"});
  CHECK(missing.status == 1);
  CHECK(contains(missing.err, dir / "missing: cannot open: No such file or directory"));
}

TEST_CASE("cli info: a named pipe does not make it wait") {
  TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  Outcome info = run(dumpwright_arguments({"info", dir / "pipe"}), 5000);
  CHECK_FALSE(info.timed_out);
  CHECK(info.status == 1);
  Outcome captured =
      run(dumpwright_arguments({"capture", "-d1", "--source", dir / "pipe", dir / "dumps"}), 5000);
  CHECK_FALSE(captured.timed_out);
  CHECK(captured.status == 1);
}
