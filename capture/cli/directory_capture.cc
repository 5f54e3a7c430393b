#include "capture/cli/directory_capture.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capture/cli/capture_sizing.h"
#include "capture/cli/dump_description.h"
#include "capture/cli/dump_place.h"
#include "capture/format/journal_header.h"
#include "capture/report/message.h"
#include "capture/target/file_target.h"

namespace dw {

namespace {

CrashToPlace crash_to_place(const Capture& capture, const Job& job) {
  DumpDescription description = describe_dump(capture.vmcore, capture.facts, job.dump_level);
  return {.directory = job.target,
          .name = dump_name(capture.facts, capture.options.hostname),
          .notes = capture.vmcore.headers().notes,
          .identity = crash_identity(description.kdump)};
}

void print_saved_already(const Job& job, const DumpPlace& place) {
  print_message("%s/%s holds this crash already; nothing to do", job.target.c_str(),
                place.name.c_str());
}

// FileTarget::create() or reopen().
using OpenFile = Result<FileTarget> (*)(int root, const std::string& name,
                                        const std::string& display, const char* file);

Result<DumpSaver> make_saver(const Capture& capture, const Job& job, const DumpPlace& place,
                             OpenFile open_file) {
  return DumpSaver::create(capture, job, [&]() -> Result<std::unique_ptr<Target>> {
    DW_ASSIGN(FileTarget target,
              open_file(place.root.get(), place.name, job.target + "/" + place.name,
                        file_name_of(job.saving)));
    return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(target)));
  });
}

// A dump is continued as it was begun, whatever is asked for now.
Result<Job> job_to_go_on(const Capture& capture, const Job& asked, const InterruptedDump& dump) {
  Job job = asked;
  job.saving = dump.saving;
  job.dump_level = dump.dump_level;
  if (job.saving == asked.saving && job.dump_level == asked.dump_level) return job;
  print_message("the dump was begun as %s, %s level %d, dump level %d, and goes on like that",
                std::string(name_of(job.saving.format)).c_str(),
                std::string(name_of(job.saving.compression.compression)).c_str(),
                job.saving.compression.level, job.dump_level);
  DW_ASSIGN(job.sizes, size_pipeline(capture.options, job.saving, job.dump_level, capture.vmcore));
  return job;
}

// Error kBadInput: it cannot be continued, and is as it was.
Result<Outcome> go_on(const Capture& capture, const Job& asked, const DumpPlace& place) {
  DW_ASSIGN(Job job, job_to_go_on(capture, asked, *place.interrupted));
  DW_ASSIGN(DumpSaver saver, make_saver(capture, job, place, &FileTarget::reopen));
  return saver.go_on();
}

// Another capture goes on with it at this moment.
bool is_busy(const Error& error) {
  return error.errno_value() == EWOULDBLOCK || error.errno_value() == EBUSY;
}

// Whatever fails, part of the crash stands there.
Result<Outcome> go_on_or_keep(const Capture& capture, const Job& job, const DumpPlace& place) {
  Result<Outcome> outcome = go_on(capture, job, place);
  if (outcome.ok() || outcome.error().kind() == ErrorKind::kBadInput || is_busy(outcome.error()))
    return outcome;
  print_error(outcome.error());
  print_message("warning: %s/%s stays incomplete; what landed can be read", job.target.c_str(),
                place.name.c_str());
  return Outcome::kIncomplete;
}

Result<Outcome> begin(const Capture& capture, const Job& job, const DumpPlace& place) {
  for (const std::string& path : place.left_alone)
    print_message("%s is a dump of this crash, but not whole; it stays, a new one is written",
                  path.c_str());
  DW_ASSIGN(DumpSaver saver, make_saver(capture, job, place, &FileTarget::create));
  return saver.save();
}

}  // namespace

Result<Outcome> capture_to_directory(const Capture& capture, const Job& job) {
  CrashToPlace crash = crash_to_place(capture, job);
  std::vector<std::string> refused;
  while (true) {
    DW_ASSIGN(DumpPlace place, find_dump_place(crash, capture.options.resume, refused));
    if (place.saved_already) {
      print_saved_already(job, place);
      return Outcome::kComplete;
    }
    if (!place.interrupted) return begin(capture, job, place);
    Result<Outcome> outcome = go_on_or_keep(capture, job, place);
    if (outcome.ok() || outcome.error().kind() != ErrorKind::kBadInput) return outcome;
    print_warning(outcome.error());
    print_message("%s/%s cannot be continued", job.target.c_str(), place.name.c_str());
    refused.push_back(place.name);
  }
}

bool holds_whole_dump(const Capture& capture, const Job& job) {
  if (::access(job.target.c_str(), F_OK) != 0) return false;
  Result<DumpPlace> place = find_dump_place(crash_to_place(capture, job), Resume::kNever);
  if (!place.ok() || !place->saved_already) return false;
  print_saved_already(job, *place);
  return true;
}

}  // namespace dw
