#include "capture/cli/dump_place.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/kernel/notes.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"

namespace dw {

namespace {

// A host that crashes a hundred times in one second has other problems.
constexpr int kMaxSameName = 100;

// Without the time of the crash nothing tells two crashes apart for certain, and saving one twice
// is better than not at all.
bool tells_crashes_apart(Bytes notes) { return vmcoreinfo_in(notes).crash_time().has_value(); }

enum class Found : uint8_t { kOther, kPart, kWhole };

// The status says whether everything was there once; the descriptors whether it still is: a copy
// may have been cut. A stream says so in its closing frame before the rest of it is written: only a
// patched header tells that nothing but the name is left to do.
bool is_whole(KdumpReader& reader, bool sealed) {
  if (reader.incomplete()) return false;
  if (!sealed && (reader.header().status & kStatusIncomplete) != 0) return false;
  Result<KdumpSummary> summary = reader.summarize();
  return summary.ok() && summary->missing == 0 && summary->damaged == 0;
}

// An ELF core cannot say what is missing: only its name tells that it is whole.
Found look_at_core(const std::string& path, bool sealed, Bytes notes) {
  Result<Vmcore> core = Vmcore::open(path.c_str());
  if (!core.ok() || !std::ranges::equal(core->headers().notes, notes)) return Found::kOther;
  return sealed ? Found::kWhole : Found::kPart;
}

// A file that cannot be read as a dump is not this crash: it is left alone.
Found look_at_dump(const std::string& path, bool sealed, Bytes notes) {
  if (!tells_crashes_apart(notes)) return Found::kOther;
  Result<Fd> fd = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return Found::kOther;
  Result<DumpKind> kind = dump_kind(fd->get());
  if (!kind.ok()) return Found::kOther;
  if (*kind == DumpKind::kElf) return look_at_core(path, sealed, notes);
  Result<OpenDump> dump = open_dump(std::move(*fd));
  if (!dump.ok() || !std::ranges::equal(dump->file->notes(), notes)) return Found::kOther;
  Result<KdumpReader> reader = KdumpReader::create(dump->file);
  return reader.ok() && is_whole(*reader, sealed) ? Found::kWhole : Found::kPart;
}

}  // namespace

Result<DumpPlace> find_dump_place(const std::string& directory, const std::string& name,
                                  Bytes notes) {
  DumpPlace place;
  DW_ASSIGN(place.root, FileTarget::open_root(directory));
  for (int i = 1; i <= kMaxSameName; ++i) {
    place.name = i == 1 ? name : name + "-" + std::to_string(i);
    DW_ASSIGN(StandingDump found, FileTarget::look(place.root.get(), place.name));
    if (found.standing == Standing::kNothing) return place;
    if (found.standing == Standing::kOther) continue;
    bool sealed = found.standing == Standing::kSealed;
    std::string path = directory + "/" + place.name + "/" + found.file;
    Found dump = look_at_dump(path, sealed, notes);
    if (dump == Found::kOther) continue;
    if (dump == Found::kWhole) {
      // The name comes last, and may not have been given.
      Status named =
          sealed ? Status() : FileTarget::seal_finished(place.root.get(), place.name, found.file);
      // Whoever wrote it may have done so in this very moment.
      DW_ASSIGN(StandingDump now, FileTarget::look(place.root.get(), place.name));
      if (now.standing != Standing::kSealed) return named.error();
      place.saved_already = true;
      return place;
    }
    print_message("%s is a dump of this crash, but not whole; it stays, a new one is written",
                  path.c_str());
  }
  return Error(ErrorKind::kIo, "too many dumps of this host and second")
      .on(directory + "/" + name)
      .hint("move some of them away");
}

}  // namespace dw
