#include "capture/cli/dump_place.h"

#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "capture/base/byte_source.h"
#include "capture/base/fd.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/crash_log.h"
#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/journal/journal_reader.h"
#include "capture/kernel/notes.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"
#include "capture/target/dump_names.h"
#include "capture/target/sums_file.h"

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

// A small file of a dump, and who reads it.
struct StandingFile {
  std::unique_ptr<ByteSource> source;
  std::unique_ptr<ByteReader> reader;
};

Result<StandingFile> open_standing(DumpStore& store, const std::string& name,
                                   const std::string& file) {
  StandingFile standing;
  DW_ASSIGN(standing.source, store.open_file(name, file));
  DW_ASSIGN(standing.reader, standing.source->open_reader());
  return standing;
}

// A journal that cannot be read as one is none; a lost connection is an error.
Result<std::optional<JournalReader>> open_journal(const Result<StandingFile>& file) {
  if (!file.ok() && is_lost(file.error())) return file.error();
  if (!file.ok()) return std::optional<JournalReader>();
  auto read_at = [reader = file->reader.get()](uint64_t offset, MutableBytes into) {
    return reader->read_exact(into, offset);
  };
  Result<JournalReader> journal = JournalReader::open(read_at, file->source->size());
  if (!journal.ok() && is_lost(journal.error())) return journal.error();
  return journal.ok() ? std::optional(std::move(*journal)) : std::nullopt;
}

// Where the list says that the dump ends; nothing if it does not say that all of it is there.
Result<std::optional<uint64_t>> end_of_whole(JournalReader& journal) {
  for (;;) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal.next());
    if (!entry) return std::optional<uint64_t>();
    if (entry->record.kind == PieceKind::kEnd) return std::optional(entry->record.offset);
  }
}

// Where looking through a dump would bring all of it over a network: its journal says what it is.
// A sealed one was whole once, and is taken for whole as long as its size is right.
Result<Found> look_at_list(DumpStore& store, const std::string& name, const StandingDump& standing,
                           uint64_t identity) {
  Result<StandingFile> file = open_standing(store, name, kSumsName);
  DW_ASSIGN(std::optional<JournalReader> journal, open_journal(file));
  if (!journal || journal->header().identity != identity) return Found::kOther;
  if (standing.standing != Standing::kSealed) return Found::kPart;
  DW_ASSIGN(std::optional<uint64_t> end, end_of_whole(*journal));
  DW_ASSIGN(std::unique_ptr<ByteSource> dump, store.open_file(name, standing.file));
  return end && dump->size() == *end ? Found::kWhole : Found::kPart;
}

Result<Found> look_at(DumpStore& store, const std::string& name, const StandingDump& standing,
                      const CrashToPlace& crash) {
  if (!tells_crashes_apart(crash.notes)) return Found::kOther;
  std::optional<std::string> folder = store.local_path(name);
  if (!folder) return look_at_list(store, name, standing, crash.identity);
  return look_at_dump(*folder + "/" + standing.file, standing.standing == Standing::kSealed,
                      crash.notes);
}

// The journal beside the incomplete dump `file`, if it is one of this crash.
Result<std::optional<InterruptedDump>> look_at_journal(DumpStore& store, const std::string& name,
                                                       const std::string& file, uint64_t identity) {
  std::optional<InterruptedDump> dump;
  Result<StandingFile> list = open_standing(store, name, kSumsName);
  DW_ASSIGN(std::optional<JournalReader> journal, open_journal(list));
  if (!journal || journal->header().identity != identity) return dump;
  std::optional<Saving> saving = saving_of(journal->header());
  if (!saving || file != std::string(file_name_of(*saving)) + std::string(kIncompleteSuffix))
    return dump;
  dump = InterruptedDump{.saving = *saving,
                         .dump_level = static_cast<int>(journal->header().dump_level)};
  return dump;
}

// What the run that wrote the dump may have left to do behind its name. A dump is whole without it.
void finish_up(DumpStore& store, const DumpPlace& place, std::string_view dump) {
  if (dump.ends_with(kIncompleteSuffix)) dump.remove_suffix(kIncompleteSuffix.size());
  constexpr const char* kSmallFiles[] = {kReportName, kLogName};
  store.remove_leftovers(place.name, std::string(dump), kSmallFiles);
  Status said = say_complete(store, place.name);
  if (!said.ok()) print_warning(said.error());
}

// Whoever wrote it may have given it its name in this very moment.
Status seal(DumpStore& store, const DumpPlace& place, const std::string& file) {
  Status named = store.seal_finished(place.name, file);
  if (named.ok()) return named;
  DW_ASSIGN(StandingDump now, store.look(place.name));
  return now.standing == Standing::kSealed ? Status() : named;
}

bool may_go_on(const DumpsToGoOn& which, const std::string& name) {
  if (std::ranges::find(which.refused, name) != which.refused.end()) return false;
  return which.resume == Resume::kAuto || name == which.begun_here;
}

}  // namespace

Result<DumpPlace> find_dump_place(DumpStore& store, const CrashToPlace& crash,
                                  const DumpsToGoOn& which) {
  DumpPlace place;
  std::string interrupted_name;
  for (int i = 1; i <= kMaxSameName; ++i) {
    place.name = i == 1 ? crash.name : crash.name + "-" + std::to_string(i);
    DW_ASSIGN(StandingDump found, store.look(place.name));
    if (found.standing == Standing::kNothing) {
      if (place.interrupted) place.name = interrupted_name;
      return place;
    }
    if (found.standing == Standing::kOther) continue;
    bool sealed = found.standing == Standing::kSealed;
    DW_ASSIGN(Found dump, look_at(store, place.name, found, crash));
    if (dump == Found::kOther) continue;
    if (dump == Found::kWhole) {
      if (!sealed) DW_TRY(seal(store, place, found.file));
      finish_up(store, place, found.file);
      place.saved_already = true;
      place.interrupted.reset();
      return place;
    }
    bool to_go_on = !sealed && !place.interrupted && may_go_on(which, place.name);
    if (to_go_on) {
      DW_ASSIGN(place.interrupted, look_at_journal(store, place.name, found.file, crash.identity));
    }
    if (to_go_on && place.interrupted)
      interrupted_name = place.name;
    else
      place.left_alone.push_back(store.display(place.name) + "/" + found.file);
  }
  return Error(ErrorKind::kIo, "too many dumps of this host and second")
      .on(store.display(crash.name))
      .hint("move some of them away");
}

}  // namespace dw
