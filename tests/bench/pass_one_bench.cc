// How fast pass 1 is, whether it costs the same per GiB at every size, and what memory it takes.
//
//   pass_one_bench [--from VMCORE] [--rounds N] [--capture [--program DUMPWRIGHT]] [--smoke] DIR
//
// The vmcores are synthetic (synthetic_vmcore.h), of 1, 64 and 1,024 GiB, and stand in DIR: in a
// tmpfs with huge pages that is mounted there for this process alone, if it may. Such a file is
// mapped without a fault for each page, like /proc/vmcore, whose pages the kernel maps all at once.
// --capture saves them too, with the dumpwright that was built beside or another. --smoke: small
// ones, once, and the numbers are not judged, since sanitizers may be at work. Exit status 1 if a
// number falls short.
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/plan/pass_one.h"
#include "tests/bench/synthetic_vmcore.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/rss_sampler.h"

namespace {

using namespace dw;
using namespace dw::bench;
using namespace dw::test;

constexpr unsigned kDumpLevel = 31;
constexpr double kGoalGBs = 8;
constexpr double kGoalRatio = 0.10;
constexpr uint64_t kMiB = 1 << 20;

bool all_passed = true;

const char* verdict(bool passed) {
  all_passed = all_passed && passed;
  return passed ? "pass" : "FAIL";
}

double seconds_of(clockid_t clock) {
  timespec now;
  if (::clock_gettime(clock, &now) != 0) fail("clock_gettime");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Seconds {
  double cpu = 0;  // of all threads
  double wall = 0;
};

template <typename Work>
Seconds time_of(Work work) {
  double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  double wall = seconds_of(CLOCK_MONOTONIC);
  work();
  return {.cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu,
          .wall = seconds_of(CLOCK_MONOTONIC) - wall};
}

struct Spread {
  double min, median, max;
};

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  return {values.front(), values[values.size() / 2], values.back()};
}

struct Options {
  const char* from = nullptr;
  unsigned rounds = 7;
  const char* program = DUMPWRIGHT_EXECUTABLE;
  bool capture = false;
  bool smoke = false;
  bool huge_pages = false;
  std::string folder;
};

// One vmcore, one way to read it, one number of threads.
struct Cell {
  uint64_t gib;
  ReadMethod method;
  unsigned threads;
  std::vector<double> cpu_ms;   // per GiB of RAM, a value per round
  std::vector<double> wall_ms;  // likewise
  std::vector<double> copy_ms;  // of CPU: fetching the same bytes and doing nothing with them
};

std::string path_of(const Options& options, uint64_t gib) {
  return options.folder + "/synthetic-" + std::to_string(gib) + "g.vmcore";
}

std::string target_of(const Options& options, uint64_t gib) {
  return options.folder + "/saved-" + std::to_string(gib) + "g";
}

// In a process of its own: what it leaves on the heap must not count as memory of pass 1.
void write_vmcores(const Options& options, const std::vector<uint64_t>& sizes) {
  pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    SampleMemmap sample =
        options.from != nullptr ? read_sample_memmap(options.from) : make_sample_memmap(1);
    // 256 MiB of struct pages are more than any cache of the CPUs we know holds.
    for (uint64_t gib : sizes)
      write_synthetic_vmcore(sample, {.gib = gib, .copies = std::min<uint64_t>(gib, 16)},
                             path_of(options, gib).c_str());
    ::_exit(0);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) fail("no synthetic vmcores");
}

struct Opened {
  Vmcore vmcore;
  VmcoreLayout layout;
};

Opened open(const std::string& path, ReadMethod method) {
  Result<Vmcore> vmcore = Vmcore::open(path.c_str(), method);
  if (!vmcore.ok()) fail("a synthetic vmcore cannot be opened");
  Opened opened{.vmcore = std::move(*vmcore), .layout = {}};
  opened.layout = find_layout(opened.vmcore);
  if (!opened.layout.usable()) fail("a synthetic vmcore has no usable layout");
  return opened;
}

Status ignore(uint64_t /*first_pfn*/, Bytes /*present*/, Bytes /*kept*/) { return {}; }

PassOne make_pass_one(const Opened& opened, unsigned threads) {
  Result<PassOne> pass = PassOne::create(opened.vmcore, opened.layout, kDumpLevel, threads);
  if (!pass.ok()) fail("no memory for pass 1");
  return std::move(*pass);
}

ClassCounts run_pass_one(PassOne& pass) {
  Result<PassOneResult> result = pass.run(ignore);
  if (!result.ok()) fail("pass 1 failed");
  return result->counts;
}

// All struct pages, in pieces as large as pass 1 fetches.
void fetch_struct_pages(const Opened& opened, uint64_t gib, MutableBytes piece) {
  VmcoreReader reader(opened.vmcore);
  for (uint64_t i = 0; i < gib; ++i)
    for (uint64_t at = 0; at < kMemmapBytes; at += piece.size())
      if (!reader.read(memmap_address(i) + at, piece).ok()) fail("struct pages cannot be read");
}

void measure(const Options& options, Cell& cell, MutableBytes piece) {
  Opened opened = open(path_of(options, cell.gib), cell.method);
  // Several times for the small one, which is over before a clock can tell.
  uint64_t repeat = options.smoke ? 1 : std::max<uint64_t>(1, 16 / cell.gib);
  auto gib = static_cast<double>(cell.gib * repeat);
  PassOne pass_one = make_pass_one(opened, cell.threads);
  ClassCounts counts;
  Seconds pass = time_of([&] {
    for (uint64_t i = 0; i < repeat; ++i) counts = run_pass_one(pass_one);
  });
  // The first page of RAM is not in the vmcore, as in real ones.
  if (counts.total() != cell.gib * kPagesPerGiB - 1) fail("pass 1 missed pages");
  Seconds copy = time_of([&] {
    for (uint64_t i = 0; i < repeat; ++i) fetch_struct_pages(opened, cell.gib, piece);
  });
  cell.cpu_ms.push_back(pass.cpu * 1000 / gib);
  cell.wall_ms.push_back(pass.wall * 1000 / gib);
  cell.copy_ms.push_back(copy.cpu * 1000 / gib);
}

const char* name_of(ReadMethod method) { return method == ReadMethod::kMap ? "map" : "read"; }

double gb_per_second(double ms_per_gib) { return kMemmapBytes / ms_per_gib / 1e6; }

void print_cells(const std::vector<Cell>& cells) {
  std::printf("%5s %4s %7s | %-22s | %-22s | %6s %6s %6s\n", "GiB", "read", "threads",
              "CPU ms/GiB (min..max)", "wall ms/GiB", "pass 1", "copy", "judge");
  for (const Cell& cell : cells) {
    Spread cpu = spread_of(cell.cpu_ms);
    Spread wall = spread_of(cell.wall_ms);
    Spread copy = spread_of(cell.copy_ms);
    std::printf("%5llu %4s %7u | %6.3f (%6.3f..%6.3f) | %6.3f (%6.3f..%6.3f) | %6.2f %6.2f %6.2f\n",
                static_cast<unsigned long long>(cell.gib), name_of(cell.method), cell.threads,
                cpu.median, cpu.min, cpu.max, wall.median, wall.min, wall.max,
                gb_per_second(cpu.median), gb_per_second(copy.median),
                gb_per_second(cpu.median - copy.median));
  }
  std::printf(
      "Medians. GB/s of struct page per second of one CPU: all of pass 1; fetching the same bytes\n"
      "alone; pass 1 without that.\n\n");
}

// All that pass 1 does, the copy out of the vmcore included.
void judge_speed(const std::vector<Cell>& cells, uint64_t gib) {
  for (const Cell& cell : cells) {
    if (cell.gib != gib || cell.method != ReadMethod::kMap) continue;
    Spread cpu = spread_of(cell.cpu_ms);
    double speed = gb_per_second(cpu.median);
    std::printf("Pass 1, mapped, %llu GiB, %u threads, per CPU: %.2f GB/s (%.2f..%.2f): %s\n",
                static_cast<unsigned long long>(gib), cell.threads, speed, gb_per_second(cpu.max),
                gb_per_second(cpu.min), verdict(speed >= kGoalGBs));
  }
}

// The fixed costs of pass 1 show at 1 GiB, so that one may be dearer; nothing may grow with size.
// Rounds are interleaved, so the ratio within a round suffers least from what else the machine
// does.
void judge_growth(const std::vector<Cell>& cells, uint64_t small, uint64_t large) {
  for (const Cell& a : cells)
    for (const Cell& b : cells) {
      if (a.gib != small || b.gib != large || a.method != b.method || a.threads != b.threads)
        continue;
      std::vector<double> ratios;
      for (size_t i = 0; i < a.cpu_ms.size(); ++i) ratios.push_back(b.cpu_ms[i] / a.cpu_ms[i]);
      Spread ratio = spread_of(ratios);
      bool passed =
          ratio.median <= 1 + kGoalRatio && (small == 1 || ratio.median >= 1 - kGoalRatio);
      std::printf("CPU per GiB, %llu : %llu GiB, %s, %u threads: %.3f (%.3f..%.3f): %s\n",
                  static_cast<unsigned long long>(large), static_cast<unsigned long long>(small),
                  name_of(a.method), a.threads, ratio.median, ratio.min, ratio.max,
                  verdict(passed));
    }
}

// Judges struct pages where they lie: more of them than any cache holds.
void bench_in_place(const Options& options, uint64_t gib, unsigned rounds) {
  Opened opened = open(path_of(options, gib), ReadMethod::kRead);
  PageRules rules(opened.layout.page, kDumpLevel);
  Result<Buffer> memory = Buffer::allocate(gib * kMemmapBytes);
  if (!memory.ok()) fail("no memory for struct pages");
  VmcoreReader reader(opened.vmcore);
  for (uint64_t i = 0; i < gib; ++i)
    if (!reader.read(memmap_address(i), memory->bytes().subspan(i * kMemmapBytes, kMemmapBytes))
             .ok())
      fail("struct pages cannot be read");
  std::vector<PageCode> codes(kChunkPages);
  std::vector<double> speeds;
  for (unsigned round = 0; round < rounds; ++round) {
    Seconds judged = time_of([&] {
      for (uint64_t pfn = 0; pfn < gib * kPagesPerGiB; pfn += kChunkPages)
        rules.classify_chunk(memory->data() + pfn * kStructPageBytes, pfn, {}, codes.data());
    });
    speeds.push_back(static_cast<double>(memory->size()) / judged.cpu / 1e9);
  }
  Spread speed = spread_of(speeds);
  std::printf(
      "Classification from memory (%llu MiB in place), per CPU: %.2f GB/s (%.2f..%.2f): %s\n",
      static_cast<unsigned long long>(memory->size() / kMiB), speed.median, speed.min, speed.max,
      verdict(options.smoke || speed.median >= kGoalGBs));
}

double limit_mib(uint64_t gib, unsigned threads) {
  return 8 + 2.5 * threads + 2 * static_cast<double>(gib) / 1024;
}

void judge_memory(const Options& options, const char* what, uint64_t gib, unsigned threads,
                  uint64_t kib) {
  double mib = static_cast<double>(kib) / 1024;
  double limit = limit_mib(gib, threads);
  std::printf("Peak RssAnon, %s, %llu GiB, %u threads: %.2f MiB, limit %.2f MiB: %s\n", what,
              static_cast<unsigned long long>(gib), threads, mib, limit,
              verdict(options.smoke || mib <= limit));
}

void measure_memory(const Options& options, uint64_t gib, unsigned threads) {
  RssSampler sampler;
  Opened opened = open(path_of(options, gib), ReadMethod::kRead);
  PassOne pass_one = make_pass_one(opened, threads);
  (void)run_pass_one(pass_one);
  judge_memory(options, "pass 1", gib, threads, sampler.stop());
}

void measure_capture(const Options& options, uint64_t gib, unsigned threads) {
  std::string source = path_of(options, gib);
  std::string target = target_of(options, gib);
  std::string count = std::to_string(threads);
  double begin = seconds_of(CLOCK_MONOTONIC);
  pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::execl(options.program, "dumpwright", "capture", "-d", "31", "--threads", count.c_str(),
            "--progress", "none", "--source", source.c_str(), target.c_str(), nullptr);
    ::_exit(127);
  }
  RssSampler sampler(child);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) fail("the capture failed");
  judge_memory(options, "capture -d 31", gib, threads, sampler.stop());
  std::printf("  (that capture took %.1f s)\n", seconds_of(CLOCK_MONOTONIC) - begin);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    bool with_value = i + 1 < argc;
    if (with_value && std::strcmp(argv[i], "--from") == 0)
      options.from = argv[++i];
    else if (with_value && std::strcmp(argv[i], "--rounds") == 0)
      options.rounds = static_cast<unsigned>(std::max(1, std::atoi(argv[++i])));
    else if (with_value && std::strcmp(argv[i], "--program") == 0)
      options.program = argv[++i];
    else if (std::strcmp(argv[i], "--capture") == 0)
      options.capture = true;
    else if (std::strcmp(argv[i], "--smoke") == 0)
      options.smoke = true;
    else
      options.folder = argv[i];
  }
  if (options.folder.empty())
    fail("usage: pass_one_bench [--from VMCORE] [--rounds N] [--capture] [--smoke] DIR");
  if (options.smoke) options.rounds = 1;
  return options;
}

void find_place(Options& options) {
  std::filesystem::create_directories(options.folder);
  options.huge_pages = test::enter_private_mounts() &&
                       ::mount("tmpfs", options.folder.c_str(), "tmpfs", 0, "huge=always") == 0;
  if (!options.huge_pages)
    std::printf("No tmpfs with huge pages (root may mount one): mapped, each page is a fault.\n");
}

void remove_files(const Options& options, const std::vector<uint64_t>& sizes) {
  for (uint64_t gib : sizes) {
    std::filesystem::remove(path_of(options, gib));
    std::filesystem::remove_all(target_of(options, gib));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  std::vector<uint64_t> sizes = {1, 64, 1024};
  if (options.smoke) sizes = {1, 2};
  find_place(options);
  remove_files(options, sizes);
  write_vmcores(options, sizes);
  for (uint64_t gib : sizes)
    for (unsigned threads : {1U, 2U}) measure_memory(options, gib, threads);
  for (uint64_t gib : sizes)
    if (options.capture) measure_capture(options, gib, 2);

  std::vector<Cell> cells;
  for (ReadMethod method : {ReadMethod::kRead, ReadMethod::kMap})
    for (unsigned threads : {1U, 2U})
      for (uint64_t gib : sizes)
        cells.push_back({.gib = gib,
                         .method = method,
                         .threads = threads,
                         .cpu_ms = {},
                         .wall_ms = {},
                         .copy_ms = {}});
  Result<Buffer> piece = Buffer::allocate(256 << 10);
  if (!piece.ok()) fail("no memory");
  for (unsigned round = 0; round < options.rounds; ++round)
    for (Cell& cell : cells) measure(options, cell, piece->bytes());
  print_cells(cells);
  if (!options.smoke) judge_growth(cells, 1, 1024);
  if (!options.smoke) judge_growth(cells, 64, 1024);
  if (!options.smoke && options.huge_pages)
    for (uint64_t gib : {64, 1024}) judge_speed(cells, gib);
  bench_in_place(options, options.smoke ? 1 : 64, options.rounds);
  remove_files(options, sizes);
  return all_passed ? 0 : 1;
}
