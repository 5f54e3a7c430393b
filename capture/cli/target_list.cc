#include "capture/cli/target_list.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "capture/cli/announcement.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/store_capture.h"
#include "capture/report/message.h"
#include "capture/target/pipe_target.h"

namespace dw {

namespace {

Result<Saved> capture_to_stdout(const Capture& capture, const Job& job) {
  DW_ASSIGN(DumpSaver saver,
            DumpSaver::create(capture, job, []() -> Result<std::unique_ptr<Target>> {
              DW_ASSIGN(PipeTarget target, PipeTarget::open_stdout());
              return std::unique_ptr<Target>(std::make_unique<PipeTarget>(std::move(target)));
            }));
  DW_ASSIGN(Outcome outcome, saver.save());
  return Saved{.outcome = outcome, .path = "standard output", .failure = saver.failure()};
}

class TargetList {
 public:
  TargetList(const Capture& capture, std::span<Job> jobs, std::vector<FailedTarget>& failed)
      : capture_(&capture), jobs_(jobs), failed_(&failed) {}

  int run() {
    if (jobs_.size() > 1 && announce_first()) return kExitComplete;
    for (Job& job : jobs_)
      if (take(job, save_to(job))) break;
    if (announces()) announce_last();
    if (status_ != kExitNothing) return status_;
    print_message("nothing was saved");
    return usage_ ? kExitUsage : kExitNothing;
  }

 private:
  // A single directory gets its report with the dump, in the same moment.
  [[nodiscard]] bool announces() const {
    return jobs_.size() > 1 || std::ranges::any_of(jobs_, [](const Job& job) {
             return is_on_network(job.address.kind);
           });
  }

  Result<Saved> save_to(Job& job) {
    DW_ASSIGN(std::string place, capture_->access.take(job.target));
    DW_ASSIGN(job.address, parse_target_address(place));
    return job.address.kind == TargetKind::kStdout ? capture_to_stdout(*capture_, job)
                                                   : capture_to_store(*capture_, job, first_word());
  }

  [[nodiscard]] std::string starting() const {
    return announcement_text(capture_->facts, "starting", {}, {});
  }

  // A single target on a network hears of the crash over the connection that the dump takes.
  [[nodiscard]] std::string first_word() const {
    return jobs_.size() == 1 && announces() ? starting() : std::string();
  }

  // Whether the dump is complete: nothing else is to be tried.
  bool take(const Job& job, const Result<Saved>& saved) {
    if (!saved.ok()) {
      print_error(saved.error());
      usage_ = usage_ && saved.error().kind() == ErrorKind::kUsage;
      failed_->push_back(failed_target(job.target, saved.error()));
      return false;
    }
    has_dump_.push_back(&job);
    saved_to_ = lasting_path(job, saved->path);
    status_ = saved->outcome == Outcome::kComplete ? kExitComplete : kExitIncomplete;
    if (status_ == kExitComplete) return true;
    failed_->push_back(saved->failure ? failed_target(job.target, *saved->failure)
                                      : FailedTarget{.target = job.target, .why = "incomplete"});
    return false;
  }

  // What is called so in this kernel only is called by its target.
  static std::string lasting_path(const Job& job, const std::string& path) {
    bool raw = job.target.starts_with("raw:PARTUUID=");
    if (!raw || !path.starts_with(job.address.path)) return path;
    return job.target.substr(0, job.target.find('?')) + path.substr(job.address.path.size());
  }

  // Those that a report can be put to, without those that have one with their dump. Why one that is
  // not ready gets none is told.
  [[nodiscard]] std::vector<const Job*> without_dump() {
    std::vector<const Job*> jobs;
    for (Job& job : jobs_) {
      if (job.address.kind == TargetKind::kStdout ||
          std::ranges::find(has_dump_, &job) != has_dump_.end())
        continue;
      Status reached = reach(job);
      if (reached.ok())
        jobs.push_back(&job);
      else
        tell_missing(job, "report", reached.error());
    }
    return jobs;
  }

  // Without waiting.
  Status reach(Job& job) {
    DW_ASSIGN(std::optional<std::string> place, capture_->access.peek(job.target));
    if (!place) return Error(ErrorKind::kTimeout, "is not ready yet").on(job.target);
    DW_ASSIGN(job.address, parse_target_address(*place));
    return {};
  }

  static void tell_missing(const Job& job, const char* what, const Error& error) {
    char why[400];
    error.format(why, sizeof(why));
    print_message("warning: no %s to %s yet: %s", what, job.target.c_str(), why);
  }

  // With several targets the crash may be on a later one already: then nothing is written to those
  // before it.
  bool announce_first() {
    std::vector<const Job*> jobs = without_dump();
    std::vector<Announced> results = announce(*capture_, jobs, starting());
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (results[i].saved_at.empty()) continue;
      saved_to_ = lasting_path(*jobs[i], results[i].saved_at);
      print_message("%s holds this crash already; nothing to do", saved_to_.c_str());
      status_ = kExitComplete;
      has_dump_.push_back(jobs[i]);
      announce_last();
      return true;
    }
    for (size_t i = 0; i < jobs.size(); ++i)
      if (results[i].error)
        tell_missing(*jobs[i], results[i].put ? "log" : "report", *results[i].error);
    return false;
  }

  // Those that were missed the first time, and what became of the dump for the others.
  void announce_last() {
    std::vector<const Job*> jobs = without_dump();
    if (jobs.empty()) return;
    const char* state = status_ == kExitComplete     ? "saved elsewhere"
                        : status_ == kExitIncomplete ? "incomplete elsewhere"
                                                     : "not saved";
    std::string text = announcement_text(capture_->facts, state, saved_to_, *failed_);
    std::vector<Announced> results = announce(*capture_, jobs, text);
    for (size_t i = 0; i < jobs.size(); ++i)
      if (!results[i].put || results[i].error)
        print_message("warning: %s did not take the %s", jobs[i]->target.c_str(),
                      results[i].put ? "log" : "report");
  }

  const Capture* capture_;
  std::span<Job> jobs_;
  std::vector<FailedTarget>* failed_;
  std::vector<const Job*> has_dump_;  // or part of it
  std::string saved_to_;              // the last of these
  int status_ = kExitNothing;
  bool usage_ = true;  // nothing but that is wrong
};

}  // namespace

int capture_to_targets(const Capture& capture, std::span<Job> jobs,
                       std::vector<FailedTarget>& failed) {
  return TargetList(capture, jobs, failed).run();
}

}  // namespace dw
