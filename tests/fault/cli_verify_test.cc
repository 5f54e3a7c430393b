// dumpwright verify: what it says, and its exit status.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/json_check.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

void flip(const std::string& path, uint64_t offset) {
  Fd fd = std::move(open_file(path.c_str(), O_RDWR).value());
  std::byte byte{};
  REQUIRE(read_exact_at(fd.get(), MutableBytes(&byte, 1), offset).ok());
  byte ^= std::byte{2};
  REQUIRE(write_all_at(fd.get(), Bytes(&byte, 1), offset).ok());
}

}  // namespace

TEST_CASE("cli verify: a dump, and its directory") {
  SavedDump saved;
  for (const std::string& path : {saved.dump(), saved.folder()}) {
    Outcome outcome = dumpwright({"verify", path});
    CHECK(outcome.status == 0);
    CHECK(outcome.err.empty());
    CHECK(outcome.out == saved.dump() + ": kdump, intact: 222 pages\n");
  }
  Outcome json = dumpwright({"verify", "--json", "--threads", "2", saved.dump()});
  CHECK(json.status == 0);
  CHECK(is_json(json.out));
  CHECK(contains(json.out, "\"state\": \"intact\""));
}

TEST_CASE("cli verify: damage is told, in text and in JSON") {
  SavedDump saved;
  flip(saved.dump(), 1000);
  Outcome outcome = dumpwright({"verify", saved.dump()});
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.out, "header: does not match its checksum (offset 0x0 to 0x1000)\n"));
  CHECK(contains(outcome.out, "DAMAGED: 0 of 222 pages, 1 other part\n"));
  flip(saved.dump(), 1000);
  flip(saved.list(), 70);
  outcome = dumpwright({"verify", "--json", saved.dump()});
  CHECK(outcome.status == 1);
  CHECK(is_json(outcome.out));
  CHECK(contains(outcome.out, "\"file\": \"list\""));
  CHECK(contains(outcome.out, "\"state\": \"damaged\""));
}

TEST_CASE("cli verify: dumps of every format") {
  TempDir dir;
  small_crash().write_to(dir / "input");
  struct Kind {
    const char* format;
    const char* compress;
    const char* name;
  };
  for (const Kind& kind : {Kind{"stream", "zstd", "stream zstd"},
                           Kind{"stream", "lz4", "stream lz4"}, Kind{"elf", "none", "elf"}}) {
    std::string target = dir / (std::string("dumps-") + kind.name);
    REQUIRE(capture(dir / "input", {"--format", kind.format, "--compress", kind.compress, target})
                .status == 0);
    Outcome outcome = dumpwright({"verify", target + "/" + kSmallName});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(outcome.out.ends_with(std::string(": ") + kind.name + ", intact: 222 pages\n"));
    Outcome info = dumpwright({"info", target + "/" + kSmallName});
    CHECK(contains(info.out, "  checksums   for 222 of 222 (100.0 %) pages, "));
    CHECK(contains(info.out, " bytes; ended\n"));
    flip(target + "/" + kSmallName + "/vmcore.sums", 70);
    CHECK(dumpwright({"verify", target + "/" + kSmallName}).status == 1);
  }
  REQUIRE(dumpwright({"convert", "--format", "flattened", dir / "dumps-elf/" + kSmallName,
                      dir / "flattened"})
              .status == 0);
  Outcome flattened = dumpwright({"verify", dir / "flattened"});
  CHECK(flattened.status == 0);
  CHECK(contains(flattened.out, "note: a flattened dump has no list of checksums"));
  CHECK(contains(flattened.out, ": flattened, intact: 222 pages"));
}

TEST_CASE("cli verify: without a list of checksums it says so") {
  SavedDump saved;
  REQUIRE(::unlink(saved.list().c_str()) == 0);
  Outcome outcome = dumpwright({"verify", saved.dump()});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "note: no list of checksums"));
  CHECK(contains(outcome.out, "; no checksum speaks for "));
}

TEST_CASE("cli verify: what cannot be read, and how it must not be called") {
  TempDir dir;
  Outcome nothing = dumpwright({"verify", dir / "nothing"});
  CHECK(nothing.status == 1);
  CHECK(contains(nothing.err, dir / "nothing: cannot open"));
  check_refused(dumpwright({"verify", dir.path()}), dir.path(), "no dump in this directory");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"verify"},
                                             {"verify", "a", "b"},
                                             {"verify", "--threads", "0", "a"},
                                             {"verify", "--threads"},
                                             {"verify", "--no-such", "a"}})
    CHECK(dumpwright(arguments).status == 2);
  CHECK(dumpwright({"verify", "--help"}).status == 0);
}
