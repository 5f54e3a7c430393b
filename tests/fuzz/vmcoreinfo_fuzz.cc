// VMCOREINFO and ELF notes of any content: every reader of them returns, and what it returns keeps
// to its bounds.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "capture/kernel/layout.h"
#include "capture/kernel/notes.h"
#include "filters/page_rules.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_page_layout(const dw::PageLayout& page) {
  if (page.struct_page_bytes == 0) return;
  require(page.struct_page_bytes <= dw::kMaxStructPageBytes);
  dw::PageRules rules(page, dw::kMaxDumpLevel);
  std::byte pages[dw::kChunkPages * dw::kMaxStructPageBytes] = {};
  dw::PageCode codes[dw::kChunkPages];
  rules.classify_chunk(pages, 0, {}, codes);
  for (dw::PageCode code : codes) require(code < dw::kPageCodeCount);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dw::Bytes bytes = std::as_bytes(std::span(data, size));
  dw::NotesSummary notes = dw::summarize_notes(bytes);
  require(notes.vmcoreinfo_offset <= size && notes.vmcoreinfo_size <= size);

  dw::Vmcoreinfo info(std::string_view(reinterpret_cast<const char*>(data), size));
  std::vector<dw::LayoutGap> gaps;
  dw::ElfHeaders headers;
  headers.segments.push_back({0, 0xffffffff81000000, 0x1000000, 4096, 4096});
  dw::VmcoreLayout layout;
  layout.page = dw::find_page_layout(info, gaps);
  check_page_layout(layout.page);
  layout.translation = dw::find_translation(info, headers, gaps);
  require(layout.translation.levels == 0 || layout.translation.top_table % 4096 == 0);
  layout.memmap = dw::find_memmap(info, layout.translation.levels, gaps);
  if (layout.memmap.usable) {
    require(layout.memmap.section_pages_order <= 18);
    require(layout.memmap.section_count <=
            layout.memmap.root_count * layout.memmap.sections_per_root);
  }
  uint64_t window = dw::window_pages(layout);
  require(window % dw::kChunkPages == 0 && window <= dw::kMaxWindowPages);
  require(gaps.size() < 64);
  return 0;
}
