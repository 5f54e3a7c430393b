// One target gets the dump: pass 1, the head, pass 2. Everything is allocated before the first byte
// of output. Thread safety: one thread calls; it starts others.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/crash_log.h"
#include "capture/format/dump_writer.h"
#include "capture/kernel/layout.h"
#include "capture/pipeline/pipeline.h"
#include "capture/plan/pass_one.h"
#include "capture/report/capture_events.h"
#include "capture/source/vmcore.h"
#include "capture/target/address.h"
#include "capture/target/target.h"
#include "capture/target/target_access.h"

namespace dw {

// How far a target got.
enum class Outcome : uint8_t { kComplete, kIncomplete };

// Everything that a capture needs besides its target.
struct Capture {
  const CaptureOptions& options;
  const Vmcore& vmcore;
  const VmcoreLayout& layout;
  const CrashFacts& facts;
  CaptureEvents& events;
  TargetAccess& access;
  const std::vector<FailedTarget>& failed;   // the targets before this one
  std::shared_ptr<const CrashLog> log = {};  // null: there is none
};

// A target, and how the crash is saved to it.
struct Job {
  std::string target;  // as it was asked for
  TargetAddress address;
  Saving saving;
  int dump_level = 31;
  PipelineOptions sizes;
};

using OpenTarget = std::function<Result<std::unique_ptr<Target>>()>;

class DumpSaver {
 public:
  // `capture` and `job` must outlive it.
  static Result<DumpSaver> create(const Capture& capture, const Job& job,
                                  const OpenTarget& open_target);

  // From the beginning.
  Result<Outcome> save();
  // Goes on with the dump on the target. Error kBadInput: that cannot be, and the dump is as it
  // was.
  Result<Outcome> go_on();
  // Both: an error of a lost connection (is_lost()) tells nothing of what is on the target.

  // Whether somebody may open the dump.
  [[nodiscard]] bool published() const { return published_; }
  // Whether that cannot be told: the connection was lost while it was published.
  [[nodiscard]] bool may_be_published() const { return target_->may_be_published(); }
  // What ended it early, if it is incomplete because of that.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
  // How far it got: pages of the plan, with those that an earlier run wrote.
  [[nodiscard]] uint64_t pages() const { return pages_; }

 private:
  DumpSaver(const Capture& capture, const Job& job, PassOne pass_one, Pipeline pipeline)
      : capture_(&capture),
        job_(&job),
        pass_one_(std::move(pass_one)),
        pipeline_(std::move(pipeline)) {}

  Result<PassOneResult> run_pass_one(const WindowBitmaps& bitmaps, bool in_order);
  Result<PassOneResult> write_head();
  Result<PassOneResult> judge_again();
  Status begin(const Plan& plan);
  Result<Outcome> write_pages(const PassOneResult& pass_one, const ResumePoint& from);
  void fail(const Error& error);
  Outcome tell_outcome(const PageCounts& counts, bool complete, uint64_t elapsed_ms);
  void put_report(const ClassCounts& counts, const char* state, const PageCounts& pages,
                  uint64_t elapsed_ms);

  const Capture* capture_;
  const Job* job_;
  PassOne pass_one_;
  Pipeline pipeline_;
  std::unique_ptr<Target> target_;
  std::unique_ptr<DumpWriter> writer_;
  bool published_ = false;
  uint64_t pages_ = 0;
  std::optional<Error> failure_;
};

}  // namespace dw
