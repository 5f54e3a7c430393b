#include "capture/cli/dump_place.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "capture/format/kdump_reader.h"
#include "capture/kernel/notes.h"
#include "capture/report/message.h"

namespace dw {

namespace {

// A host that crashes a hundred times in one second has other problems.
constexpr int kMaxSameName = 100;

// Without the time of the crash nothing tells two crashes apart for certain, and saving one twice
// is better than not at all.
bool tells_crashes_apart(Bytes notes) { return vmcoreinfo_in(notes).crash_time().has_value(); }

// A file that cannot be read as a kdump file is not this crash: it is left alone.
std::optional<KdumpReader> open_if_same_crash(int root, const std::string& path, Bytes notes) {
  if (!tells_crashes_apart(notes)) return std::nullopt;
  Result<Fd> fd = open_file_at(root, path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return std::nullopt;
  Result<KdumpReader> reader = KdumpReader::open(std::move(*fd));
  if (!reader.ok() || !std::ranges::equal(reader->notes(), notes)) return std::nullopt;
  return std::move(*reader);
}

// The status says whether everything was there once; the descriptors whether it still is: a copy
// may have been cut.
bool is_whole(KdumpReader& reader) {
  if (reader.incomplete()) return false;
  Result<KdumpSummary> summary = reader.summarize();
  return summary.ok() && summary->missing == 0 && summary->damaged == 0;
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
    std::string path = place.name + "/" + found.file;
    std::optional<KdumpReader> reader = open_if_same_crash(place.root.get(), path, notes);
    if (!reader) continue;
    if (is_whole(*reader)) {
      // The name comes last, and may not have been given.
      Status named = sealed ? Status() : FileTarget::seal_finished(place.root.get(), place.name, found.file);
      // Whoever wrote it may have done so in this very moment.
      DW_ASSIGN(StandingDump now, FileTarget::look(place.root.get(), place.name));
      if (now.standing != Standing::kSealed) return named.error();
      place.saved_already = true;
      return place;
    }
    print_message("%s/%s is a dump of this crash, but not whole; it stays, a new one is written",
                  directory.c_str(), path.c_str());
  }
  return Error(ErrorKind::kIo, "too many dumps of this host and second")
      .on(directory + "/" + name)
      .hint("move some of them away");
}

}  // namespace dw
