// A built vmcore, opened and judged page by page: what the tests of the classifier compare.
//
// Thread safety: none.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "capture/plan/window_classifier.h"
#include "tests/golden/memmap_builder.h"

namespace dw::golden {

class JudgedVmcore {
 public:
  explicit JudgedVmcore(const VmcoreBuilder& builder, ReadMethod method = ReadMethod::kRead)
      : file_(builder), vmcore_(open(file_, method)), layout_(find_layout(vmcore_)) {}

  // The file behind it, to cut it while it is open.
  [[nodiscard]] int fd() const { return file_.fd(); }
  [[nodiscard]] const Vmcore& vmcore() const { return vmcore_; }
  [[nodiscard]] const VmcoreLayout& layout() const { return layout_; }

  [[nodiscard]] WindowClassifier classifier(unsigned level) const {
    Result<WindowClassifier> made = WindowClassifier::create(vmcore_, layout_, level);
    if (!made.ok()) std::abort();
    return std::move(*made);
  }

  // What the page is, judged together with its window.
  [[nodiscard]] PageCode code(uint64_t pfn, unsigned level = 31) const {
    std::vector<PageCode> codes(kChunkPages);
    WindowClassifier judge = classifier(level);
    judge.classify_codes(pfn / kChunkPages * kChunkPages, kChunkPages, codes);
    return codes[pfn % kChunkPages];
  }

  // Whether the page is kept at this level.
  [[nodiscard]] bool kept(uint64_t pfn, unsigned level) const {
    std::vector<uint64_t> verdict(kChunkPages / 64);
    ClassCounts counts;
    WindowClassifier judge = classifier(level);
    judge.classify(pfn / kChunkPages * kChunkPages, kChunkPages, verdict, counts);
    return (verdict[pfn % kChunkPages / 64] >> pfn % 64 & 1) != 0;
  }

  // All counts, window by window.
  [[nodiscard]] ClassCounts counts(unsigned level) const {
    ClassCounts counts;
    (void)verdict(level, window_pages(layout_), counts);
    return counts;
  }

  // The verdict over all memory in steps of `step` pages.
  [[nodiscard]] std::vector<uint64_t> verdict(unsigned level, uint64_t step,
                                              ClassCounts& counts) const {
    uint64_t end = (vmcore_.memory().end_pfn() + window_pages(layout_) - 1) /
                   window_pages(layout_) * window_pages(layout_);
    std::vector<uint64_t> verdict(end / 64);
    WindowClassifier judge = classifier(level);
    for (uint64_t pfn = 0; pfn < end; pfn += step)
      judge.classify(pfn, step, std::span(verdict).subspan(pfn / 64, step / 64), counts);
    return verdict;
  }

 private:
  static Vmcore open(const TemporaryVmcore& file, ReadMethod method) {
    Result<Vmcore> vmcore = Vmcore::open(file.path(), method);
    if (vmcore.ok()) return std::move(*vmcore);
    char text[256];
    vmcore.error().format(text, sizeof(text));
    std::fprintf(stderr, "%s\n", text);
    std::abort();
  }

  TemporaryVmcore file_;
  Vmcore vmcore_;
  VmcoreLayout layout_;
};

}  // namespace dw::golden
