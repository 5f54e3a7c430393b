// dumpwright dmesg: out of a vmcore and of dumps of every format, and what it refuses.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/log_model.h"
#include "tests/unit/support/syscall_tracer.h"
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
void write_vmcore(const RingModel& ring, const std::string& path,
                  const std::string& crash_time = kCrashTime) {
  golden::KernelBuilder builder({});
  builder.set_key("CRASHTIME", crash_time);
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

TEST_CASE("cli capture: the log comes before the dump, and after it where it failed") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  for (bool fails : {false, true}) {
    CAPTURE(fails);
    std::string dumps = dir / (fails ? "failed" : "well");
    unsigned logs_written = 0, written_after_dump = 0;
    bool dump_there = false;
    Outcome saved = run_traced(
        dumpwright_arguments({"capture", "--source", dir / "vmcore", "--progress", "none", dumps}),
        [&](const TracedCall& call) -> Verdict {
          if (call.name == "pwrite64" && call.path.ends_with("/vmcore.new")) dump_there = true;
          bool is_log =
              call.name == "pwrite64" && call.path.find("/vmcore-dmesg.txt") != std::string::npos;
          if (!is_log) return {};
          written_after_dump += dump_there;
          return {.errno_value = fails && logs_written++ == 0 ? EIO : 0};
        });
    CHECK(saved.status == 0);
    CHECK((saved.err.find("warning: ") != std::string::npos) == fails);
    CHECK((written_after_dump > 0) == fails);
    CHECK(read_file(dumps + "/" + tree_of(dumps).front() + "/vmcore-dmesg.txt") == ring.text());
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

TEST_CASE("cli capture: the log stands beside the dump, and with targets that get none") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  Outcome saved = dumpwright(
      {"capture", "--source", dir / "vmcore", "--progress", "none", dir / "one", dir / "two"});
  REQUIRE(saved.status == 0);
  for (const char* target : {"one", "two"}) {
    std::string folder = dir / target + "/" + tree_of(dir / target).front();
    CHECK(read_file(folder + "/vmcore-dmesg.txt") == ring.text());
    CHECK(contains(read_file(folder + "/vmcore.json"),
                   "\"dmesg_bytes\": " + std::to_string(ring.text().size())));
    struct stat status;
    REQUIRE(::stat((folder + "/vmcore-dmesg.txt").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  // Again: nothing to do, and a log that somebody removed is not made anew.
  Outcome again =
      dumpwright({"capture", "--source", dir / "vmcore", "--progress", "none", dir / "one"});
  CHECK(again.status == 0);
  CHECK(contains(again.err, "holds this crash already"));
}

TEST_CASE("cli capture: a target that takes no dump keeps the log; the next has both") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  Outcome saved = dumpwright(
      {"capture", "--source", dir / "vmcore", "--progress", "none", "/proc/no/such", dir / "two"});
  REQUIRE(saved.status == 0);
  CHECK(contains(saved.err, "no report to /proc/no/such yet"));
  std::string folder = dir / "two/" + tree_of(dir / "two").front();
  CHECK(read_file(folder + "/vmcore-dmesg.txt") == ring.text());
}

TEST_CASE("cli capture: a log that is damaged or cannot be found never fails the dump") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  ring.tail_id -= 1000;
  write_vmcore(ring, dir / "damaged");
  Outcome saved =
      dumpwright({"capture", "--source", dir / "damaged", "--progress", "none", dir / "one"});
  CHECK(saved.status == 0);
  CHECK(contains(saved.err, "vmcore-dmesg.txt: 1 places of the log cannot be read"));
  std::string folder = dir / "one/" + tree_of(dir / "one").front();
  CHECK(contains(read_file(folder + "/vmcore.json"), "\"dmesg_damaged\": 1"));
  CHECK(contains(read_file(folder + "/vmcore-dmesg.txt"), "Fatal exception\ndumpwright: the log"));

  golden::KernelBuilder none({});
  none.build().write_to(dir / "none");
  saved = dumpwright({"capture", "--source", dir / "none", "--progress", "none", dir / "two"});
  CHECK(saved.status == 0);
  CHECK(contains(saved.err, "warning: no vmcore-dmesg.txt: printk_log: VMCOREINFO does not say"));
  folder = dir / "two/" + tree_of(dir / "two").front();
  CHECK(contains(read_file(folder + "/vmcore.json"), "\"dmesg_missing\": \"printk_log: "));
  for (const std::string& file : tree_of(folder)) CHECK(file != "vmcore-dmesg.txt");
}

TEST_CASE("cli capture: on a partition the log is told of, and taken off with the dump") {
  TempDir dir;
  RingModel ring = ring_with_panic();
  write_vmcore(ring, dir / "vmcore");
  write_file(dir / "disk", std::string(16 << 20, '\xA5'));
  std::string target = "raw:" + dir / "disk?force=yes";
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    ring.add({90'000'000'000, 1, "another crash"});
    write_vmcore(ring, dir / "vmcore", "170000000" + std::to_string(round));
    REQUIRE(
        dumpwright({"capture", "--source", dir / "vmcore", "--progress", "none", target}).status ==
        0);
    TempDir taken;
    REQUIRE(dumpwright({"convert", "raw:" + dir / "disk", taken.path()}).status == 0);
    std::string folder = taken / tree_of(taken.path()).front();
    CHECK(read_file(folder + "/vmcore-dmesg.txt") == ring.text());
    CHECK(dumpwright({"dmesg", folder}).out == ring.text());
    target = "raw:" + dir / "disk?force=yes&overwrite=yes";
  }
}
