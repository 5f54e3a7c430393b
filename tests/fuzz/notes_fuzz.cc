// ELF notes of any content: no step outside them, and each note once.
#include <algorithm>
#include <string_view>
#include <vector>

#include "capture/kernel/notes.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dw::fuzz::require;
  // A copy of its own, so that a sanitizer sees a step too far.
  std::vector<std::byte> notes(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, notes.begin());
  dw::NoteWalker walker(notes);
  size_t end = 0;
  while (auto note = walker.next()) {
    require(note->description_offset >= end);
    require(note->description.size() <= size);
    require(note->description_offset <= size - note->description.size());
    require(note->name.find('\0') == std::string_view::npos);
    end = note->description_offset + note->description.size();
  }
  dw::NotesSummary summary = dw::summarize_notes(notes);
  require(summary.damaged == walker.damaged());
  require(summary.vmcoreinfo_offset + summary.vmcoreinfo_size <= size);
  return 0;
}
