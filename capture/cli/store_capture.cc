#include "capture/cli/store_capture.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capture/cli/announcement.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/capture_sizing.h"
#include "capture/cli/dump_description.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/retry_clock.h"
#include "capture/format/journal_header.h"
#include "capture/report/message.h"
#include "capture/target/open_store.h"

namespace dw {

namespace {

// Another capture goes on with it at this moment.
bool is_busy(const Error& error) {
  return error.errno_value() == EWOULDBLOCK || error.errno_value() == EBUSY;
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
  DW_ASSIGN(job.sizes, size_pipeline(capture.options, job, capture.vmcore));
  return job;
}

// One target and one crash, over all the connections that it takes.
class StoreCapture {
 public:
  StoreCapture(const Capture& capture, const Job& job, const std::string& first_word)
      : capture_(&capture),
        job_(&job),
        first_word_(&first_word),
        crash_(crash_to_place(capture, job)) {}

  Result<Outcome> run() {
    RetryClock clock(capture_->options.retry_for_s * 1000, capture_->events);
    for (bool lost = false;; lost = true) {
      Result<Outcome> outcome = on_one_connection();
      // A server that comes up again may refuse first: logins, or what is not mounted there yet.
      if (outcome.ok() || (!lost && !may_go_well(outcome.error()))) return outcome;
      print_warning(outcome.error());
      if (!clock.wait(pages_)) return give_up(clock, outcome.error());
      print_message("%s: trying again", job_->target.c_str());
    }
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  // The next time. A partition is busy as long as an announcement of ours hangs in it.
  [[nodiscard]] bool may_go_well(const Error& error) const {
    return is_lost(error) || (error.errno_value() == EBUSY && announcement_running(job_->target));
  }

  Result<Outcome> on_one_connection() {
    DW_ASSIGN(std::unique_ptr<DumpStore> store,
              open_store(job_->address, capture_->options.stores, job_->target));
    for (;;) {
      DW_ASSIGN(DumpPlace place, find_dump_place(*store, crash_, which()));
      path_ = store->display(place.name);
      if (place.saved_already) {
        print_message("%s holds this crash already; nothing to do", path_.c_str());
        return Outcome::kComplete;
      }
      if (!place.interrupted) return with_log(*store, place.name, begin(*store, place));
      Result<Outcome> outcome = go_on_or_keep(*store, place);
      if (outcome.ok() || outcome.error().kind() != ErrorKind::kBadInput)
        return with_log(*store, place.name, std::move(outcome));
      print_warning(outcome.error());
      print_message("%s cannot be continued", path_.c_str());
      refused_.push_back(place.name);
    }
  }

  [[nodiscard]] DumpsToGoOn which() const {
    return {.resume = capture_->options.resume, .begun_here = begun_, .refused = refused_};
  }

  void tell_what_stands(const DumpStore& store, const DumpPlace& place) {
    std::string overwritten = store.overwritten();
    if (!overwritten.empty())
      return print_message("%s is overwritten with this crash", overwritten.c_str());
    for (const std::string& path : place.left_alone)
      if (std::ranges::find(told_, path) == told_.end()) {
        told_.push_back(path);
        print_message("%s is a dump of this crash, but not whole; it stays, a new one is written",
                      path.c_str());
      }
  }

  // The log comes first, but nothing is overwritten for its sake alone.
  Result<std::unique_ptr<Target>> create(DumpStore& store, const std::string& name,
                                         const char* file) {
    bool overwrites = !store.overwritten().empty();
    if (!overwrites) put_log_beside(store, name);
    DW_ASSIGN(std::unique_ptr<Target> target, store.create(name, file));
    if (overwrites) put_log_beside(store, name);
    return target;
  }

  // A dump is worth more than its log: where that failed, the dump comes first, or a link that
  // breaks now and then would never get further. Copies of it would cost the executable 3 kB.
  [[gnu::noinline]] void put_log_beside(DumpStore& store, const std::string& name) {
    if (!capture_->log || log_failed_) return;
    auto wanted = [this] {
      capture_->events.on_progress();
      return true;
    };
    Status put = put_log(store, name, *capture_->log, wanted);
    // An announcement that came too late may have removed what both were writing.
    if (!put.ok() && put.error().errno_value() == ENOENT)
      put = put_log(store, name, *capture_->log, wanted);
    if (put.ok()) return capture_->events.on_log();
    print_warning(put.error());
    log_failed_ = true;
  }

  // Whatever failed before, the dump is there now.
  Result<Outcome> with_log(DumpStore& store, const std::string& name, Result<Outcome> outcome) {
    if (outcome.ok() && std::exchange(log_failed_, false)) put_log_beside(store, name);
    return outcome;
  }

  Result<Outcome> begin(DumpStore& store, const DumpPlace& place) {
    tell_what_stands(store, place);
    if (!begun_for_certain_) begun_.clear();
    DW_TRY(say_first_word(store, place));
    DW_ASSIGN(DumpSaver saver, DumpSaver::create(*capture_, *job_, [&] {
                return create(store, place.name, file_name_of(job_->saving));
              }));
    Result<Outcome> outcome = saver.save();
    if (saver.published() || saver.may_be_published()) begun_ = place.name;
    begun_for_certain_ = begun_for_certain_ || saver.published();
    return noted(saver, std::move(outcome));
  }

  // A dump is worth more than a word about it.
  Status say_first_word(DumpStore& store, const DumpPlace& place) {
    if (first_word_->empty() || place.name == announced_) return {};
    Status put = store.put_file(place.name, kReportName, std::as_bytes(std::span(*first_word_)));
    if (!put.ok() && is_lost(put.error())) return put;
    if (!put.ok()) print_warning(put.error());
    announced_ = place.name;
    return {};
  }

  // Error kBadInput: it cannot be continued, and is as it was.
  Result<Outcome> go_on(DumpStore& store, const DumpPlace& place) {
    DW_ASSIGN(Job job, job_to_go_on(*capture_, *job_, *place.interrupted));
    DW_ASSIGN(DumpSaver saver, DumpSaver::create(*capture_, job, [&] {
                put_log_beside(store, place.name);
                return store.reopen(place.name, file_name_of(job.saving));
              }));
    return noted(saver, saver.go_on());
  }

  // Whatever fails, part of the crash stands there.
  Result<Outcome> go_on_or_keep(DumpStore& store, const DumpPlace& place) {
    begun_ = place.name;
    begun_for_certain_ = true;
    Result<Outcome> outcome = go_on(store, place);
    if (outcome.ok() || outcome.error().kind() == ErrorKind::kBadInput ||
        is_busy(outcome.error()) || is_lost(outcome.error()))
      return outcome;
    print_error(outcome.error());
    failure_ = outcome.error();
    return stays_incomplete();
  }

  Result<Outcome> noted(const DumpSaver& saver, Result<Outcome> outcome) {
    pages_ = std::max(pages_, saver.pages());
    if (saver.failure()) failure_ = saver.failure();
    return outcome;
  }

  Result<Outcome> give_up(const RetryClock& clock, const Error& error) {
    print_message("%s: nothing came of trying for %" PRIu64 " s", job_->target.c_str(),
                  clock.limit_ms() / 1000);
    failure_ = error;
    if (begun_.empty()) return error;
    return begun_for_certain_ ? stays_incomplete() : may_stay_incomplete();
  }

  Result<Outcome> stays_incomplete() {
    print_message("warning: %s stays incomplete; what landed can be read", path_.c_str());
    return Outcome::kIncomplete;
  }

  // Somebody should look there; "nothing was saved" would keep them from it.
  Result<Outcome> may_stay_incomplete() {
    print_message(
        "warning: %s may be there, incomplete and without pages: the connection was lost while it "
        "was given its name",
        path_.c_str());
    return Outcome::kIncomplete;
  }

  const Capture* capture_;
  const Job* job_;
  const std::string* first_word_;
  CrashToPlace crash_;
  std::string announced_;             // the folder that has the first word
  std::string begun_;                 // the folder of the dump that this run began, or goes on with
  bool log_failed_ = false;           // it is not tried again before the dump is there
  bool begun_for_certain_ = false;    // it stood there: nobody was lost before saying so
  std::vector<std::string> refused_;  // folders of dumps that cannot be gone on with
  std::vector<std::string> told_;     // paths
  uint64_t pages_ = 0;                // the most that an attempt got to
  std::string path_;                  // of the dump's folder
  std::optional<Error> failure_;
};

}  // namespace

CrashToPlace crash_to_place(const Capture& capture, const Job& job) {
  DumpDescription description = describe_dump(capture.vmcore, capture.facts, job.dump_level);
  return {.name = dump_name(capture.facts, capture.options.hostname),
          .notes = capture.vmcore.headers().notes,
          .identity = crash_identity(description.kdump)};
}

Result<Saved> capture_to_store(const Capture& capture, const Job& job,
                               const std::string& first_word) {
  StoreCapture store(capture, job, first_word);
  DW_ASSIGN(Outcome outcome, store.run());
  return Saved{.outcome = outcome, .path = store.path(), .failure = store.failure()};
}

}  // namespace dw
