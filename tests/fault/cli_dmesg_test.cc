// dumpwright dmesg: out of a vmcore and of dumps of every format, and what it refuses.

#include <doctest/doctest.h>

#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/log_model.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

RingModel ring_with_panic() {
  RingModel ring(6, 13);
  for (unsigned i = 0; i < 80; ++i)
    ring.add({i * 1'000'000'000ull, i, "line " + std::to_string(i)});
  ring.add({81'000'000'000, 1, "Kernel panic - not syncing: Fatal exception"});
  return ring;
}

// A vmcore whose log is `ring`, at `path`.
void write_vmcore(const RingModel& ring, const std::string& path) {
  golden::KernelBuilder builder({});
  ring.store(builder);
  builder.build().write_to(path);
}

}  // namespace

TEST_CASE("cli dmesg: a vmcore, and dumps of it in every format") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  CHECK(dumpwright({"dmesg", dir / "vmcore"}).out == ring.text());
  for (std::string format : {"kdump", "stream", "elf"}) {
    CAPTURE(format);
    Outcome saved = dumpwright({"capture", "--source", dir / "vmcore", "--format", format,
                                "--progress", "none", dir / format});
    REQUIRE(saved.status == 0);
    Outcome log = dumpwright({"dmesg", dir / format + "/" + tree_of(dir / format).front()});
    CHECK(log.status == 0);
    CHECK(log.err.empty());
    CHECK(log.out == ring.text());
  }
}

TEST_CASE("cli dmesg: to a file, which is never replaced") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  CHECK(dumpwright({"dmesg", dir / "vmcore", dir / "log"}).status == 0);
  CHECK(read_file(dir / "log") == ring.text());
  Outcome again = dumpwright({"dmesg", dir / "vmcore", dir / "log"});
  CHECK(again.status == 1);
  CHECK(contains(again.err, "the file exists"));
  Outcome full = dumpwright({"dmesg", dir / "vmcore", "/dev/full"});
  CHECK(full.status == 1);
}

TEST_CASE("cli dmesg: a damaged log is told in the text, on the console, and by the status") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  ring.tail_id -= 1000;
  write_vmcore(ring, dir / "vmcore");
  Outcome log = dumpwright({"dmesg", dir / "vmcore"});
  CHECK(log.status == 3);
  CHECK(contains(log.out, "Fatal exception\ndumpwright: the log is damaged in 1 places"));
  CHECK(contains(log.err, "1 places of the log cannot be read"));
}

TEST_CASE("cli dmesg: no log, no vmcore, bad options") {
  TempDir dir;
  golden::KernelBuilder none({});
  none.build().write_to(dir / "vmcore");
  Outcome log = dumpwright({"dmesg", dir / "vmcore", dir / "log"});
  CHECK(log.status == 1);
  CHECK(contains(log.err, "VMCOREINFO does not say where the kernel's log is"));
  write_file(dir / "text", "no dump at all");
  CHECK(dumpwright({"dmesg", dir / "text"}).status == 1);
  CHECK(dumpwright({"dmesg", dir / "nothing"}).status == 1);
  CHECK(tree_of(dir.path()).size() == 2);
  for (std::vector<std::string> bad : {std::vector<std::string>{"dmesg"},
                                       {"dmesg", "--json", dir / "vmcore"},
                                       {"dmesg", "-"},
                                       {"dmesg", dir / "vmcore", dir / "log", "more"}})
    CHECK(dumpwright(bad).status == 2);
  CHECK(dumpwright({"dmesg", "--help"}).status == 0);
}
