// What goes into a dump of a vmcore besides its pages. Thread safety: pure.
#pragma once

#include "capture/cli/crash_facts.h"
#include "capture/format/writer_factory.h"
#include "capture/source/vmcore.h"

namespace dw {

// Points into `vmcore`, which must outlive the writers that are made with it.
[[nodiscard]] DumpDescription describe_dump(const Vmcore& vmcore, const CrashFacts& facts,
                                            int dump_level);

}  // namespace dw
