// vmcore.json, the report beside a dump, and the lines in which a capture tells what it found.
// Thread safety: pure, but for the output.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "capture/base/result.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/saving.h"
#include "capture/kernel/layout.h"
#include "capture/pipeline/batch_output.h"
#include "capture/plan/window_classifier.h"
#include "capture/report/json.h"
#include "capture/target/dump_store.h"

namespace dw {

inline constexpr const char* kReportName = "vmcore.json";
// Room for the report, whatever becomes of the disk.
inline constexpr size_t kReportBytes = 8192;

// Pages by class, and those not decided by reason.
[[nodiscard]] JsonObject counts_json(const ClassCounts& counts);

// A target that does not have the dump, and why.
struct FailedTarget {
  std::string target;
  std::string why;
};

[[nodiscard]] FailedTarget failed_target(const std::string& target, const Error& error);

struct CaptureReport {
  const char* state;  // "saving", "complete" or "incomplete"
  const PageCounts& pages;
  uint64_t bytes = 0;
  uint64_t elapsed_ms = 0;
  bool durable = true;                        // the target's syncs outlive a power cut
  bool replaces_safely = true;                // a report that is replaced is there at every moment
  std::span<const FailedTarget> failed = {};  // those before this one
};

[[nodiscard]] std::string report_text(const Saving& saving, int dump_level, const CrashFacts& facts,
                                      const ClassCounts& counts, const CaptureReport& report);

// What a target learns that has no dump. `saved_to`: where there is one; may be empty.
[[nodiscard]] std::string announcement_text(const CrashFacts& facts, const char* state,
                                            const std::string& saved_to,
                                            std::span<const FailedTarget> failed);

// Makes the report of the dump `name` say that the dump is complete, if it says that it is being
// saved.
Status say_complete(DumpStore& store, const std::string& name);

// What could not be found out about the kernel, and what it costs. One line each.
void print_gaps(const VmcoreLayout& layout);
// Pages that were kept because they could not be judged.
void print_unknown(const ClassCounts& counts);

}  // namespace dw
