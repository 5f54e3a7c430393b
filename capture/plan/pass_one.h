// Pass 1: looks at every window once and makes the plan. Thread safety: called by one thread.
#pragma once

#include "capture/base/result.h"
#include "capture/plan/plan.h"
#include "capture/source/vmcore.h"

namespace dw {

Result<Plan> plan_pages(const Vmcore& vmcore);

}  // namespace dw
