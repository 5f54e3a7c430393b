// The executable and the formats that are not kdump files: through the programs that everybody has,
// to standard output, and cut off.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/format/stream_format.h"
#include "tests/fault/cli_support.h"
#include "tests/unit/support/frames.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Stage {
  explicit Stage(const VmcoreBuilder& builder = small_crash()) : pages(known_pages(builder)) {
    builder.write_to(dir / "input");
  }
  [[nodiscard]] std::string folder(const std::string& target) const {
    return dir / target + "/" + kSmallName;
  }
  // A shell command that captures with these options.
  [[nodiscard]] std::string command(const std::string& options) const {
    return dumpwright_arguments({})[0] + " capture -d1 --source " + (dir / "input") + " " + options;
  }

  TempDir dir;
  std::vector<KnownPage> pages;
};

struct Codec {
  const char* name;
  const char* file;
  std::string decompress;  // FROM TO follow
  std::string test;        // FILE follows
};

const Codec kCodecs[] = {
    {"zstd", "vmcore.zst", "/usr/bin/zstd -q -d -o ", "/usr/bin/zstd -q -t "},
    {"lz4", "vmcore.lz4", "/usr/bin/lz4 -q -d -f ", "/usr/bin/lz4 -q -t "},
};

Outcome shell(const std::string& script) {
  return run({"/bin/bash", "-c", "set -o pipefail; " + script});
}

std::string decompressed(const Stage& stage, const Codec& codec, const std::string& file) {
  std::string plain = stage.dir / "plain";
  bool zstd = std::string_view(codec.name) == "zstd";
  Outcome done = shell(zstd ? codec.decompress + plain + " -f " + file
                            : codec.decompress + file + " " + plain);
  CHECK_MESSAGE(done.status == 0, done.err);
  return plain;
}

Bytes bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Frame after frame up to the last byte: nothing else went to standard output.
void check_only_frames(const std::string& out) {
  std::vector<Frame> frames = whole_frames(bytes(out));
  REQUIRE_FALSE(frames.empty());
  CHECK(frames.back().offset + frames.back().length == out.size());
}

}  // namespace

TEST_CASE("cli: a stream is what zstd and lz4 make a whole dump of") {
  for (const VmcoreBuilder& builder : {small_crash(), large_crash(5)}) {
    Stage stage(builder);
    for (const Codec& codec : kCodecs) {
      CAPTURE(codec.name);
      Outcome outcome = capture(stage.dir / "input", {"--format", "stream", "--compress",
                                                      codec.name, stage.dir / codec.name});
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(outcome.out.empty());
      std::string folder = stage.folder(codec.name);
      std::vector<std::string> files = {"vmcore.json", "vmcore.sums", codec.file};
      std::ranges::sort(files);
      CHECK(tree_of(folder) == files);
      std::string file = folder + "/" + codec.file;
      CHECK(contains(outcome.err, "saved " + file));
      CHECK(mode_of(file) == 0600);
      CHECK(mode_of(folder + "/vmcore.sums") == 0600);
      CHECK(contains(read_file(folder + "/vmcore.json"), "\"format\": \"stream\""));
      Outcome tested = shell(codec.test + file);
      CHECK_MESSAGE(tested.status == 0, tested.err);
      check_dump(decompressed(stage, codec, file), stage.pages, true);
    }
  }
}

TEST_CASE("cli: standard output takes a stream and nothing else") {
  Stage stage(large_crash(3));
  for (const Codec& codec : kCodecs) {
    std::string file = stage.dir / "out";
    Outcome outcome = shell(
        stage.command("--progress plain --compress " + std::string(codec.name) + " - > " + file));
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(contains(outcome.err, "saved standard output: "));
    check_only_frames(read_file(file));
    Comparison all = check_dump(decompressed(stage, codec, file), stage.pages, false);
    CHECK(all.right == stage.pages.size());
    Outcome piped = shell(stage.command("--compress " + std::string(codec.name) + " - | cat > ") +
                          (stage.dir / "piped"));
    CHECK(piped.status == 0);
    CHECK((read_file(stage.dir / "piped") == read_file(file)));
  }
}

TEST_CASE("cli: a flattened dump begins and ends as makedumpfile's does") {
  Stage stage;
  Outcome outcome = shell(stage.command("--format flattened - > ") + (stage.dir / "out"));
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  std::string out = read_file(stage.dir / "out");
  CHECK(out.starts_with("makedumpfile"));
  CHECK(out.ends_with(std::string(16, '\xff')));
}

TEST_CASE("cli: an ELF core, read by the program itself") {
  Stage stage;
  Outcome outcome = capture(stage.dir / "input", {"--format", "elf", stage.dir / "dumps"});
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  std::string core = stage.folder("dumps") + "/vmcore.elf";
  CHECK(dumpwright({"info", core}).status == 0);
  CHECK(capture(core, {stage.dir / "again"}).status == 0);
  check_dump(stage.folder("again") + "/vmcore", stage.pages, true);
}

TEST_CASE("cli: a reader of standard output that goes away") {
  Stage stage(large_crash(4));
  // A stream that was cut can be read as far as it goes, a flattened dump cannot.
  for (auto [format, status] : {std::pair{"stream", 3}, std::pair{"flattened", 1}}) {
    Outcome outcome =
        shell(stage.command(std::string("--format ") + format + " - | head -c 70000 > ") +
              (stage.dir / "head"));
    CHECK_MESSAGE(outcome.status == status, outcome.err);
    CHECK(contains(outcome.err, "standard output: cannot write at offset 0x"));
    CHECK(contains(outcome.err, "Broken pipe; the program that read it has ended"));
    CHECK((contains(outcome.err, "nothing was saved") == (status == 1)));
  }
  Outcome next = shell(stage.command("--format stream - " + (stage.dir / "dumps") + " | true"));
  CHECK_MESSAGE(next.status == 0, next.err);
  check_dump(decompressed(stage, kCodecs[0], stage.folder("dumps") + "/vmcore.zst"), stage.pages,
             true);
}

TEST_CASE("cli: standard output that is full, closed or a terminal") {
  Stage stage;
  Outcome full = shell(stage.command("- > /dev/full"));
  CHECK(full.status == 1);
  CHECK(contains(full.err, "standard output: cannot write at offset 0x0: No space left on device"));
  CHECK(contains(full.err, "nothing was saved"));
  Outcome closed = shell(stage.command("- >&-"));
  CHECK(closed.status == 1);
  CHECK(contains(closed.err, "standard output: cannot write at offset 0x0: Bad file descriptor"));
  Outcome terminal = run({"/usr/bin/script", "-qec", stage.command("-"), "/dev/null"});
  CHECK(terminal.status == 2);
  CHECK(
      contains(terminal.out, "standard output: is a terminal; redirect it to a file or a program"));
}

TEST_CASE("cli: what does not go together is refused before anything is written") {
  Stage stage;
  for (const char* options :
       {"--format kdump -", "--format elf -", "--compress zlib -", "--format flattened DIR",
        "--compress lz4 DIR", "--format elf --compress zstd DIR",
        "--format flattened --compress lz4 -", "--compress zstd:23 DIR", "--compress zlib:0 DIR",
        "--format qcow DIR", "- -"}) {
    CAPTURE(options);
    std::string words = options;
    if (size_t at = words.find("DIR"); at != std::string::npos)
      words.replace(at, 3, stage.dir / "dumps");
    Outcome outcome = shell(stage.command(words) + " | cat");
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK(contains(outcome.err, "dumpwright: error: "));
    CHECK(contains(outcome.err, "; "));
    CHECK(::access((stage.dir / "dumps").c_str(), F_OK) != 0);
  }
}

TEST_CASE("cli: a disk that becomes full leaves a stream that is right as far as it goes") {
  if (!may_mount()) return;
  Stage stage(large_crash(2));
  REQUIRE(capture(stage.dir / "input", {"--format", "stream", stage.dir / "whole"}).status == 0);
  std::string whole = read_file(stage.folder("whole") + "/vmcore.zst");
  std::vector<std::byte> content = content_of(whole_frames(bytes(whole)));
  unsigned incomplete = 0;
  for (int kib = 16; kib < 2400; kib += 200) {
    TempDir disk;
    SmallDisk mount(disk.path(), "size=" + std::to_string(kib) + "k");
    Outcome outcome = capture(stage.dir / "input", {"--format", "stream", disk.path()});
    if (outcome.status == 0) break;
    CHECK(contains(outcome.err, "No space left on device"));
    if (outcome.status == 1) {
      CHECK(disk.tree().empty());
      continue;
    }
    REQUIRE(outcome.status == 3);
    ++incomplete;
    std::string file = read_file(disk / kSmallName + "/vmcore.zst.incomplete");
    std::vector<std::byte> part = content_of(whole_frames(bytes(file)));
    REQUIRE(part.size() > sizeof(KdumpHeader));
    CHECK(std::equal(part.begin() + sizeof(KdumpHeader), part.end(),
                     content.begin() + sizeof(KdumpHeader)));
    CHECK((load<KdumpHeader>(part, 0).status & kStatusIncomplete) != 0);
  }
  CHECK(incomplete > 3);
}

TEST_CASE("cli: a limit on the size of files is a full disk, not a death") {
  Stage stage(large_crash(8));
  // A core has its whole length from the start.
  for (auto [format, status] : {std::pair{"stream", 3}, std::pair{"kdump", 3}, {"elf", 1}}) {
    std::string dumps = stage.dir / format;
    Outcome outcome =
        shell("ulimit -f 1000; " + stage.command(std::string("--format ") + format + " " + dumps));
    CHECK_MESSAGE(outcome.status == status, outcome.err);
    CHECK_MESSAGE(contains(outcome.err, "File too large; no larger file is possible there"),
                  outcome.err);
  }
}

TEST_CASE("cli: a stream is the same for any number of threads") {
  Stage stage(large_crash(3));
  for (const char* format : {"stream", "elf"}) {
    std::string expected;
    for (const char* threads : {"1", "2", "8"}) {
      std::string target = std::string(format) + threads;
      REQUIRE(capture(stage.dir / "input",
                      {"--format", format, "--threads", threads, stage.dir / target})
                  .status == 0);
      bool elf = std::string_view(format) == "elf";
      std::string dump = read_file(stage.folder(target) + (elf ? "/vmcore.elf" : "/vmcore.zst"));
      if (expected.empty()) expected = dump;
      CHECK((dump == expected));
    }
  }
}
