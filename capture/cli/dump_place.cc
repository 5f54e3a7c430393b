#include "capture/cli/dump_place.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "capture/cli/capture_report.h"
#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/journal/journal_reader.h"
#include "capture/kernel/notes.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"
#include "capture/target/reserved_file.h"

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

// The journal beside the incomplete dump `file`, if it is one of this crash.
std::optional<InterruptedDump> look_at_journal(int root, const std::string& name,
                                               const std::string& file, uint64_t identity) {
  Result<Fd> fd = open_file_at(root, (name + "/" + kSumsName).c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return std::nullopt;
  Result<JournalReader> journal = JournalReader::open(fd->get());
  if (!journal.ok() || journal->header().identity != identity) return std::nullopt;
  std::optional<Saving> saving = saving_of(journal->header());
  if (!saving || file != std::string(file_name_of(*saving)) + std::string(kIncompleteSuffix))
    return std::nullopt;
  return InterruptedDump{.saving = *saving,
                         .dump_level = static_cast<int>(journal->header().dump_level)};
}

// What the run that wrote the dump may have left to do behind its name. A dump is whole without it.
void finish_report(const DumpPlace& place) {
  Result<Fd> directory = open_file_at(place.root.get(), place.name.c_str(), O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) return;
  ReservedFile::remove_spares(directory->get(), kReportName);
  Status said = say_complete(directory->get());
  if (!said.ok()) print_warning(said.error());
}

// Whoever wrote it may have given it its name in this very moment.
Status seal(const DumpPlace& place, const std::string& file) {
  Status named = FileTarget::seal_finished(place.root.get(), place.name, file);
  if (named.ok()) return named;
  DW_ASSIGN(StandingDump now, FileTarget::look(place.root.get(), place.name));
  return now.standing == Standing::kSealed ? Status() : named;
}

}  // namespace

Result<DumpPlace> find_dump_place(const CrashToPlace& crash, Resume resume,
                                  std::span<const std::string> refused) {
  DumpPlace place;
  DW_ASSIGN(place.root, FileTarget::open_root(crash.directory));
  std::string interrupted_name;
  for (int i = 1; i <= kMaxSameName; ++i) {
    place.name = i == 1 ? crash.name : crash.name + "-" + std::to_string(i);
    DW_ASSIGN(StandingDump found, FileTarget::look(place.root.get(), place.name));
    if (found.standing == Standing::kNothing) {
      if (place.interrupted) place.name = interrupted_name;
      return place;
    }
    if (found.standing == Standing::kOther) continue;
    bool sealed = found.standing == Standing::kSealed;
    std::string path = crash.directory + "/" + place.name + "/" + found.file;
    Found dump = look_at_dump(path, sealed, crash.notes);
    if (dump == Found::kOther) continue;
    if (dump == Found::kWhole) {
      if (!sealed) DW_TRY(seal(place, found.file));
      finish_report(place);
      place.saved_already = true;
      place.interrupted.reset();
      return place;
    }
    bool to_go_on = !sealed && resume == Resume::kAuto && !place.interrupted &&
                    std::ranges::find(refused, place.name) == refused.end();
    if (to_go_on)
      place.interrupted = look_at_journal(place.root.get(), place.name, found.file, crash.identity);
    if (to_go_on && place.interrupted)
      interrupted_name = place.name;
    else
      place.left_alone.push_back(path);
  }
  return Error(ErrorKind::kIo, "too many dumps of this host and second")
      .on(crash.directory + "/" + crash.name)
      .hint("move some of them away");
}

}  // namespace dw
