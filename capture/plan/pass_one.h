// Pass 1: judges every page once and makes the plan.
//
// All threads judge windows, each with a classifier of its own; the result does not depend on how
// many there are. Only counters stay; the bitmaps are handed out window by window.
#pragma once

#include <functional>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/kernel/layout.h"
#include "capture/kernel/near_pages.h"
#include "capture/plan/plan.h"
#include "capture/plan/window_classifier.h"
#include "capture/source/vmcore.h"

namespace dw {

// The bitmaps of the window that starts at `first_pfn`: which pages are in the vmcore, and which of
// them are kept. Called once per window with memory, from several threads at once and in any order,
// unless PassOneOptions says otherwise. The plan keeps what `kept` says afterwards: a dump that is
// continued has told already which pages it keeps. Order and counts are those judged now.
using WindowBitmaps = std::function<Status(uint64_t first_pfn, Bytes present, MutableBytes kept)>;

struct PassOneOptions {
  bool in_order = false;      // bitmaps come one at a time, ascending
  bool with_digests = false;  // the plan has them
};

struct PassOneResult {
  Plan plan;
  ClassCounts counts;
  bool essential_cut = false;  // more page tables than are put first
};

class PassOne {
 public:
  // Allocates what the threads need: fewer threads if memory is short, but at least one. `vmcore`
  // and `layout` must outlive it. Besides its classifiers it takes NearPages::memory_bytes().
  static Result<PassOne> create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                unsigned dump_level, unsigned threads);

  // Returns the first error of `bitmaps`. May be called again.
  Result<PassOneResult> run(const WindowBitmaps& bitmaps, const PassOneOptions& options = {});

 private:
  PassOne(const Vmcore& vmcore, const VmcoreLayout& layout, NearPages near_pages)
      : vmcore_(&vmcore), layout_(&layout), near_pages_(std::move(near_pages)) {}

  const Vmcore* vmcore_;
  const VmcoreLayout* layout_;
  NearPages near_pages_;
  std::vector<WindowClassifier> classifiers_;
};

}  // namespace dw
