#include "capture/kernel/notes.h"

#include <elf.h>

#include "capture/base/checked.h"

namespace dw {

std::optional<Note> NoteWalker::next() {
  while (range_fits(at_, sizeof(Elf64_Nhdr), notes_.size())) {
    auto header = load<Elf64_Nhdr>(notes_, at_);
    // The kernel ends its per-CPU notes with an empty one and zeros up to the next.
    if (header.n_namesz == 0 && header.n_descsz == 0) {
      at_ += sizeof(Elf64_Nhdr);
      continue;
    }
    uint64_t name_at = at_ + sizeof(Elf64_Nhdr);
    uint64_t description_at = name_at + align_up(header.n_namesz, 4);
    if (!range_fits(name_at, header.n_namesz, notes_.size()) ||
        !range_fits(description_at, header.n_descsz, notes_.size())) {
      damaged_ = true;
      return std::nullopt;
    }
    at_ = description_at + align_up(header.n_descsz, 4);
    std::string_view name(reinterpret_cast<const char*>(notes_.data() + name_at), header.n_namesz);
    return Note{.name = name.substr(0, name.find('\0')),
                .type = header.n_type,
                .description = notes_.subspan(description_at, header.n_descsz),
                .description_offset = description_at};
  }
  return std::nullopt;
}

NotesSummary summarize_notes(Bytes notes) {
  NotesSummary summary;
  NoteWalker walker(notes);
  while (std::optional<Note> note = walker.next()) {
    if (note->name == "CORE" && note->type == NT_PRSTATUS) ++summary.cpu_count;
    if (note->name == "VMCOREINFO" && summary.vmcoreinfo_size == 0) {
      summary.vmcoreinfo_offset = note->description_offset;
      summary.vmcoreinfo_size = note->description.size();
    }
  }
  summary.damaged = walker.damaged();
  return summary;
}

Vmcoreinfo vmcoreinfo_in(Bytes notes) {
  NotesSummary summary = summarize_notes(notes);
  Bytes text = notes.subspan(summary.vmcoreinfo_offset, summary.vmcoreinfo_size);
  return Vmcoreinfo({reinterpret_cast<const char*>(text.data()), text.size()});
}

}  // namespace dw
