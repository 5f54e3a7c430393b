// The pages of a vmcore, judged by the crashed kernel's struct pages.
// Thread safety: as PageSource; Vmcore and VmcoreLayout are shared and must outlive it.
#pragma once

#include "capture/kernel/layout.h"
#include "capture/pipeline/page_source.h"
#include "capture/plan/window_classifier.h"
#include "capture/source/vmcore.h"

namespace dw {

class VmcorePageSource : public PageSource {
 public:
  // Error kNoMemory.
  static Result<std::unique_ptr<PageSource>> create(const Vmcore& vmcore,
                                                    const VmcoreLayout& layout,
                                                    unsigned dump_level);

  ChunkBits judge(uint64_t first_pfn) override;
  [[nodiscard]] uint64_t read_pages(uint64_t first_pfn, unsigned count,
                                    MutableBytes into) override {
    return reader_.read_pages(first_pfn, count, into);
  }

  // Memory that one object takes, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return WindowClassifier::memory_bytes(); }

 private:
  VmcorePageSource(const Vmcore& vmcore, WindowClassifier classifier)
      : classifier_(std::move(classifier)), reader_(vmcore) {}

  WindowClassifier classifier_;
  VmcoreReader reader_;
};

}  // namespace dw
