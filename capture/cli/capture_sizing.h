// How many threads a capture gets, and what the pipeline does for it.
// Thread safety: pure, but for the output and what the system says of itself.
#pragma once

#include "capture/base/result.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/save_dump.h"
#include "capture/pipeline/pipeline.h"
#include "capture/source/vmcore.h"

namespace dw {

// As many threads as there are CPUs or as asked for, but no more than memory allows. A crash is the
// wrong moment to refuse: then, and where nobody set a limit, one thread is tried whatever it
// takes.
Result<PipelineOptions> size_pipeline(const CaptureOptions& options, const Job& job,
                                      const Vmcore& vmcore);

}  // namespace dw
