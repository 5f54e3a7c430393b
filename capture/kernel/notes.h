// The ELF notes of a vmcore: iteration that no length can lead astray, and VMCOREINFO's place.
//
// Source: elf(5); kernel/vmcore_info.c names the note "VMCOREINFO". Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "capture/base/bytes.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

struct Note {
  std::string_view name;
  uint32_t type;
  Bytes description;
  size_t description_offset;  // from the start of the notes
};

// Walks ELF notes. A note that claims more than there is ends the walk and sets damaged().
class NoteWalker {
 public:
  explicit NoteWalker(Bytes notes) : notes_(notes) {}
  [[nodiscard]] std::optional<Note> next();
  [[nodiscard]] bool damaged() const { return damaged_; }

 private:
  Bytes notes_;
  size_t at_ = 0;
  bool damaged_ = false;
};

struct NotesSummary {
  unsigned cpu_count = 0;  // NT_PRSTATUS notes of "CORE": CPUs whose registers were saved
  bool damaged = false;
  // Zero if there is no VMCOREINFO note.
  size_t vmcoreinfo_offset = 0;
  size_t vmcoreinfo_size = 0;
};

[[nodiscard]] NotesSummary summarize_notes(Bytes notes);

// VMCOREINFO among the notes, which it points into. Empty if there is none.
[[nodiscard]] Vmcoreinfo vmcoreinfo_in(Bytes notes);

}  // namespace dw
