// Runs of the executable of which one system call, or all from one on, are disturbed, and what they
// may leave behind.
//
// Whatever happens: no crash, no hang, no wrong page; and what is called a dump is one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/syscall_tracer.h"
#include "tests/unit/support/trials.h"

namespace dw::test {

struct Format {
  const char* option;
  const char* file;
};

inline constexpr Format kFormats[] = {{"kdump", "vmcore"}, {"stream", "vmcore.zst"}};

struct Fault {
  enum class Kind : uint8_t {
    kFails,      // with errno_value, once
    kShort,      // made with half its size
    kFailsOn,    // with errno_value, and so does every later one
    kIsTheLast,  // the program is killed in front of it
  };
  const char* name;
  Kind kind;
  int errno_value = 0;
};

// A vmcore, and a disk of its own for the target. may_mount() is true.
struct DisturbedStage {
  explicit DisturbedStage(const Format& dump_format);

  // Runs the executable undisturbed; afterwards the target is empty.
  void save_undisturbed();
  [[nodiscard]] std::vector<std::string> arguments() const;
  [[nodiscard]] std::string folder(const char* suffix = "") const;
  // Empties the target, or makes it what it was at keep().
  void restore() const;
  void keep();

  Format format;
  LoopDisk disk{"ext4", 40};
  TempDir dir;
  std::string input = dir / "input";
  std::string dumps = disk.path() + "/dumps";
  std::string kept;  // a copy of `dumps`; empty for none
  std::vector<KnownPage> pages;
  std::string undisturbed;  // the bytes of the dump when nothing happens
};

using WantedCall = bool (*)(const DisturbedStage& stage, const TracedCall& call);
bool on_target(const DisturbedStage& stage, const TracedCall& call);
bool on_vmcore(const DisturbedStage& stage, const TracedCall& call);

// The wanted calls of a run that nothing disturbs, which ends with a whole dump.
std::vector<TracedCall> wanted_calls(const DisturbedStage& stage, WantedCall wanted);

// Whether the kernel could do this to the call.
[[nodiscard]] bool makes_sense(const Fault& fault, const TracedCall& call);

struct DisturbedRun {
  Outcome outcome;
  TracedCall call = {};  // the first that was disturbed
  bool reached = false;
};

// Disturbs the wanted call with this number.
DisturbedRun disturb(const DisturbedStage& stage, WantedCall wanted, size_t number,
                     const Fault& fault);

// Opens the dump, of whatever format, and compares each page.
Comparison compare_dump(const std::string& path, const std::vector<KnownPage>& pages);

bool stands(const std::string& folder, const std::string& file);
void check_whole(const DisturbedStage& stage, const std::string& folder);
// What a disturbed run may leave, and how it may end.
void check_remains(const DisturbedStage& stage, const Outcome& outcome);
// The next run finishes the dump: the same bytes as if nothing had happened. The whole one stands
// beside an incomplete one only if the disturbed run could not read what was there.
void check_next_run(const DisturbedStage& stage);
// What could not be read for a moment is there when all is read again.
void check_fresh_run(const DisturbedStage& stage);

// Each wanted call of a run, each fault: what it leaves, and `check_next`. A part of them, by
// `trials`.
void disturb_each(const DisturbedStage& stage, WantedCall wanted, std::span<const Fault> faults,
                  Trials trials, void (*check_next)(const DisturbedStage& stage));

}  // namespace dw::test
