// dumpwright bench on small vmcores, and everything that it must refuse.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/json_check.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Input {
  explicit Input(const VmcoreBuilder& builder = large_crash(3)) { builder.write_to(dir / "input"); }

  [[nodiscard]] Outcome bench(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"bench", "--seconds", "0.001", dir / "input"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Outcome outcome = dumpwright(arguments);
    CHECK_FALSE(outcome.timed_out);
    CHECK_MESSAGE(outcome.signal == 0, outcome.err);
    return outcome;
  }

  TempDir dir;
};

constexpr const char* kFormats[] = {"kdump", "stream"};
constexpr const char* kKdump[] = {"zstd:1",  "zstd:3", "zstd:-1", "zstd:-3",
                                  "zstd:-5", "zlib:1", "none"};
constexpr const char* kStream[] = {"zstd:1", "zstd:3", "zstd:-1", "lz4", "none"};

std::string entry(const char* format, const char* compression) {
  return std::string("{\"format\": \"") + format + "\", \"compression\": \"" + compression +
         "\", \"ratio\": ";
}

}  // namespace

TEST_CASE("cli bench: JSON with every codec of both formats") {
  Input input;
  Outcome outcome = input.bench({"--json"});
  CHECK(outcome.status == 0);
  CHECK(is_json(outcome.out));
  for (const char* name : kKdump) CHECK_MESSAGE(contains(outcome.out, entry("kdump", name)), name);
  for (const char* name : kStream)
    CHECK_MESSAGE(contains(outcome.out, entry("stream", name)), name);
  for (const char* part : {"\"method\": \"map\"", "\"method\": \"read\"", "\"zero_share\": 0.2",
                           "\"recommended\": [{", "\"scaling\": [{\"threads\": 1,"})
    CHECK_MESSAGE(contains(outcome.out, part), part);
  CHECK_FALSE(contains(outcome.out, "null"));
  // What it does is told meanwhile, beside the result.
  CHECK(contains(outcome.err, "dumpwright: measuring kdump zstd:1\n"));
}

TEST_CASE("cli bench: tables, with the threads that were asked for") {
  Input input;
  Outcome outcome = input.bench({"--threads", "3", "-d1"});
  CHECK(outcome.status == 0);
  for (const char* part : {"dump level 1:", "MB/s, 3 threads", "\nRecommended\n", "target of "})
    CHECK_MESSAGE(contains(outcome.out, part), outcome.out);
  for (const char* name : kFormats) CHECK(contains(outcome.out, name));
}

TEST_CASE("cli bench: a target is measured, and left as it was") {
  Input input;
  TempDir target;
  write_file(target / "vmcore", "precious");
  Outcome outcome = input.bench({"--json", "file:" + target.path()});
  CHECK(outcome.status == 0);
  CHECK(is_json(outcome.out));
  CHECK(contains(outcome.out, "\"target\": {\"path\": \"" + target.path() + "\", \"mb_per_s\": "));
  CHECK(target.tree() == std::vector<std::string>{"vmcore"});
  CHECK(read_file(target / "vmcore") == "precious");
}

TEST_CASE("cli bench: targets that cannot be written to") {
  Input input;
  write_file(input.dir / "file", "precious");
  check_refused(input.bench({input.dir / "file"}), input.dir / "file",
                "Not a directory; the target must be a directory");
  check_refused(input.bench({input.dir / "missing"}), input.dir / "missing",
                "bench makes no directory");
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "size=1m");
  check_refused(input.bench({dir.path()}), dir.path(), "No space left on device");
  CHECK(dir.tree().empty());
  disk.make_read_only();
  TempDir larger;
  SmallDisk read_only(larger.path(), "size=64m");
  read_only.make_read_only();
  check_refused(input.bench({larger.path()}), larger.path(), "Read-only file system; mount it");
}

TEST_CASE("cli bench: a target that is too small for the dump is told") {
  if (!may_mount()) return;
  Input input(large_crash(40));
  TempDir dir;
  SmallDisk disk(dir.path(), "size=16m");
  Outcome outcome = input.bench({"--sample", "1M", dir.path()});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "even this does not fit into the target"));
  CHECK(dir.tree().empty());
}

TEST_CASE("cli bench: memory of zeros leaves nothing to compress") {
  Input input(VmcoreBuilder().add_cpus(1).add_ram(0x100000, 4 << 20));
  Outcome outcome = input.bench({});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "100.0 % of them zero"));
  CHECK(contains(outcome.out, "There is no page to compress"));
  Outcome json = input.bench({"--json"});
  CHECK(is_json(json.out));
  CHECK(contains(json.out, "\"zero_share\": 1"));
  CHECK(contains(json.out, "\"codecs\": []"));
}

TEST_CASE("cli bench: usage errors") {
  Input input;
  for (const char* option : {"--sample=1", "--seconds=x", "--threads=0", "-d32", "--nonsense"}) {
    Outcome outcome = input.bench({option});
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK_MESSAGE(contains(outcome.err, "see dumpwright bench --help"), outcome.err);
  }
  CHECK(input.bench({"ssh://host/dir"}).status == 2);
  CHECK(dumpwright({"bench"}).status == 2);
  Outcome help = dumpwright({"bench", "--help"});
  CHECK(help.status == 0);
  CHECK(help.out.starts_with("usage: dumpwright bench "));
}

TEST_CASE("cli bench: vmcores that are none") {
  TempDir dir;
  write_file(dir / "garbage", std::string(10000, 'g'));
  check_refused(dumpwright({"bench", dir / "garbage"}), dir / "garbage", "not an ELF file");
  Outcome missing = dumpwright({"bench", dir / "missing"});
  CHECK(missing.status == 1);
  CHECK(contains(missing.err, dir / "missing: cannot open: No such file or directory"));
}
