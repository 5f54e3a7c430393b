#include "capture/pipeline/vmcore_page_source.h"

#include <utility>

namespace dw {

Result<std::unique_ptr<PageSource>> VmcorePageSource::create(const Vmcore& vmcore,
                                                             const VmcoreLayout& layout,
                                                             unsigned dump_level) {
  DW_ASSIGN(WindowClassifier classifier, WindowClassifier::create(vmcore, layout, dump_level));
  return std::unique_ptr<PageSource>(new VmcorePageSource(vmcore, std::move(classifier)));
}

ChunkBits VmcorePageSource::judge(uint64_t first_pfn) {
  ChunkBits bits;
  ClassCounts counts;
  classifier_.classify(first_pfn, kChunkPages, bits, counts);
  return bits;
}

}  // namespace dw
