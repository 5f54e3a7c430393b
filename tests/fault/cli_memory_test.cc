// The memory of a capture: its budget, the limits it is given, and what it does with too little.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/memory_cgroup.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr uint64_t kMiB = 1 << 20;

// 8 MiB + 2.5 MiB per thread, for RAM far below a TiB.
[[maybe_unused]] uint64_t budget(unsigned threads) { return 8 * kMiB + threads * 5 * kMiB / 2; }

// The vmcore is on a tmpfs, and the test's, not the capture's: /proc/vmcore costs no page cache.
// Read from a slow disk, all of a small cgroup can be pages that are just being read, which cannot
// be taken back.
struct Stage {
  explicit Stage(uint64_t mib) : builder(large_crash(mib)) { builder.write_to(input()); }

  [[nodiscard]] std::string input() const { return memory / "input"; }

  [[nodiscard]] std::vector<std::string> command(unsigned threads,
                                                 const std::string& compress) const {
    return command_for(threads, "kdump", compress, dumps());
  }
  [[nodiscard]] std::vector<std::string> command_for(unsigned threads, const std::string& format,
                                                     const std::string& compress,
                                                     const std::string& target) const {
    return dumpwright_arguments({"capture", "-d1", "--source", input(), "--threads",
                                 std::to_string(threads), "--format", format, "--compress",
                                 compress, target});
  }
  [[nodiscard]] std::string dumps() const { return dir / "dumps"; }
  [[nodiscard]] std::string dump() const { return dumps() + "/" + kSmallName + "/vmcore"; }

  bool mounts = may_mount();
  TempDir memory;
  SmallDisk disk{memory.path(), "size=1g"};
  TempDir dir;
  VmcoreBuilder builder;
};

}  // namespace

// Sanitizers keep shadows of everything.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_CASE("memory: anonymous memory stays within 8 MiB and 2.5 MiB per thread") {
  Stage stage(64);
  for (unsigned threads : {1U, 2U, 4U, 8U, 16U}) {
    for (const char* compress : {"zstd", "zlib", "none"}) {
      CAPTURE(threads);
      CAPTURE(compress);
      std::filesystem::remove_all(stage.dumps());
      Outcome outcome = run(stage.command(threads, compress));
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(outcome.anonymous_kib > 4096);  // it was sampled
      CHECK(outcome.anonymous_kib * 1024 <= budget(threads));
    }
  }
}

TEST_CASE("memory: streams, ELF cores and flattened dumps stay within it too") {
  Stage stage(64);
  struct Way {
    const char* format;
    const char* compress;
    bool to_stdout;
  };
  for (unsigned threads : {1U, 2U, 8U}) {
    for (const Way& way :
         {Way{"stream", "zstd", false}, Way{"stream", "lz4", false}, Way{"stream", "zstd", true},
          Way{"elf", "none", false}, Way{"flattened", "zstd", true}}) {
      CAPTURE(threads);
      CAPTURE(std::string(way.format));
      CAPTURE(std::string(way.compress));
      CAPTURE(way.to_stdout);
      std::filesystem::remove_all(stage.dumps());
      Outcome outcome = run(stage.command_for(threads, way.format, way.compress,
                                              way.to_stdout ? "-" : stage.dumps()));
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(outcome.anonymous_kib > 2048);
      CHECK(outcome.anonymous_kib * 1024 <= budget(threads));
    }
  }
}

TEST_CASE("memory: a cgroup of the budget's size is enough for a stream and an ELF core") {
  Stage stage(160);
  struct Way {
    const char* format;
    const char* compress;
    const char* file;
  };
  for (const Way& way : {Way{"stream", "zstd", "/vmcore.zst"}, Way{"elf", "none", "/vmcore.elf"}}) {
    for (unsigned threads : {1U, 4U}) {
      CAPTURE(std::string(way.format));
      CAPTURE(threads);
      std::filesystem::remove_all(stage.dumps());
      MemoryCgroup cgroup(budget(threads));
      Outcome outcome =
          run(cgroup.inside(stage.command_for(threads, way.format, way.compress, stage.dumps())));
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(cgroup.killed() == 0);
      CHECK(cgroup.peak() <= budget(threads));
      CHECK(std::filesystem::exists(stage.dumps() + "/" + kSmallName + way.file));
    }
  }
}

TEST_CASE("memory: a cgroup of the budget's size is enough, page cache included") {
  Stage stage(160);
  std::vector<KnownPage> pages = known_pages(stage.builder);
  for (unsigned threads : {1U, 2U, 4U}) {
    CAPTURE(threads);
    std::filesystem::remove_all(stage.dumps());
    MemoryCgroup cgroup(budget(threads));
    Outcome outcome = run(cgroup.inside(stage.command(threads, "zstd")));
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(cgroup.killed() == 0);
    CHECK(cgroup.peak() > budget(threads) / 2);
    CHECK(cgroup.peak() <= budget(threads));
    CHECK(check_dump(stage.dump(), pages, true).right == pages.size());
  }
}

TEST_CASE("memory: a cgroup of the budget's size is enough to go on with a dump") {
  if (!may_mount()) return;
  Stage stage(160);
  TempDir small;
  SmallDisk disk(small.path(), "size=100m");
  struct Way {
    const char* format;
    const char* compress;
  };
  for (const Way& way : {Way{"stream", "zstd"}, Way{"elf", "none"}, Way{"kdump", "zstd"}}) {
    Outcome full = run(stage.command_for(2, way.format, way.compress, small.path()));
    REQUIRE_MESSAGE(full.status == 3, full.err);
    for (unsigned threads : {1U, 4U}) {
      CAPTURE(std::string(way.format));
      CAPTURE(threads);
      std::filesystem::remove_all(stage.dumps());
      std::filesystem::copy(small.path(), stage.dumps(), std::filesystem::copy_options::recursive);
      MemoryCgroup cgroup(budget(threads));
      Outcome outcome =
          run(cgroup.inside(stage.command_for(threads, way.format, way.compress, stage.dumps())));
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(contains(outcome.err, "going on with an interrupted dump"));
      CHECK(cgroup.killed() == 0);
      CHECK(cgroup.peak() <= budget(threads));
    }
    std::filesystem::remove_all(small / kSmallName);
  }
}

#endif

TEST_CASE("memory: a limit for fewer threads than asked for gives fewer threads") {
  Stage stage(4);
  std::vector<std::string> command = stage.command(16, "zstd");
  command.insert(command.end(), {"--memory-limit", "16M"});
  Outcome outcome = run(command);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(outcome.err, "of 16 threads"));
  CHECK(check_dump(stage.dump(), known_pages(stage.builder), true).wrong == 0);
}

TEST_CASE("memory: a limit too small for one thread is refused before anything is written") {
  Stage stage(4);
  std::vector<std::string> command = stage.command(16, "zstd");
  command.insert(command.end(), {"--memory-limit", "1M"});
  Outcome outcome = run(command);
  CHECK(outcome.status == 2);
  CHECK(contains(outcome.err, "too little for one thread"));
  CHECK(contains(outcome.err, "raise --memory-limit"));
  CHECK_FALSE(std::filesystem::exists(stage.dumps()));
}
