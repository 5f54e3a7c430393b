// vmcore.json, the report beside a dump, and the lines in which a capture tells what it found.
// Thread safety: pure, but for the output.
#pragma once

#include <cstdint>
#include <string>

#include "capture/cli/crash_facts.h"
#include "capture/cli/saving.h"
#include "capture/kernel/layout.h"
#include "capture/pipeline/batch_output.h"
#include "capture/plan/window_classifier.h"
#include "capture/report/json.h"

namespace dw {

inline constexpr const char* kReportName = "vmcore.json";

// Pages by class, and those not decided by reason.
[[nodiscard]] JsonObject counts_json(const ClassCounts& counts);

struct CaptureReport {
  const char* state;  // "saving", "complete" or "incomplete"
  const PageCounts& pages;
  uint64_t bytes = 0;
  uint64_t elapsed_ms = 0;
};

[[nodiscard]] std::string report_text(const Saving& saving, int dump_level, const CrashFacts& facts,
                                      const ClassCounts& counts, const CaptureReport& report);

// What could not be found out about the kernel, and what it costs. One line each.
void print_gaps(const VmcoreLayout& layout);
// Pages that were kept because they could not be judged.
void print_unknown(const ClassCounts& counts);

}  // namespace dw
