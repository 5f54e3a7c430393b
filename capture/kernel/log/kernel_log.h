// The crashed kernel's log ("dmesg") as text: that of makedumpfile --dump-dmesg, read piece by
// piece and handed on piece by piece.
//
// A log that is damaged is written as far as it makes sense, with a last line of our own that says
// so. Memory: 32 KiB besides what `memory` takes, however large the log is. Thread safety: one
// thread.
#pragma once

#include <cstdint>

#include "capture/base/result.h"
#include "capture/kernel/log/log_text.h"
#include "capture/kernel/translate.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

struct KernelLogSummary {
  uint64_t records = 0;
  uint64_t bytes = 0;    // of text
  uint64_t damaged = 0;  // places that cannot be read or make no sense
};

// Errors: kUnsupported and kBadInput if there is no log to be found, kNoMemory, with nothing
// written; or whatever `sink` says.
Result<KernelLogSummary> write_kernel_log(const Vmcoreinfo& info, KernelMemory& memory,
                                          const TextSink& sink);
Result<KernelLogSummary> write_kernel_log(const Vmcore& vmcore, const TextSink& sink);

// How to translate the log's addresses. `headers` may have no segments. Error kUnsupported if that
// cannot be told.
Result<TranslationLayout> find_log_translation(const Vmcoreinfo& info, const ElfHeaders& headers);

}  // namespace dw
