#include "capture/cli/announcement.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "capture/base/thread.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/store_capture.h"
#include "capture/target/open_store.h"

namespace dw {

namespace {

// The targets that threads are at, one entry for each. It stays when the program ends before them.
struct Running {
  std::mutex mutex;
  std::vector<std::string> targets;  // guarded by mutex
};

Running& running() {
  static auto* all = new Running;
  return *all;
}

void note_running(const std::string& target) {
  std::lock_guard lock(running().mutex);
  running().targets.push_back(target);
}

void note_end(const std::string& target) {
  std::lock_guard lock(running().mutex);
  std::vector<std::string>& targets = running().targets;
  targets.erase(std::ranges::find(targets, target));
}

// What the round's threads share with who waits for them, and keep if nobody waits any more.
struct Round {
  std::mutex mutex;
  std::condition_variable answered;
  size_t open = 0;    // targets without an answer
  bool over = false;  // nobody waits: nothing more is to be written
  std::vector<Announced> results;
};

// A thread's own copy of everything.
struct Try {
  std::shared_ptr<Round> round;
  size_t number;
  std::string target;
  TargetAddress address;
  StoreOptions stores;
  Resume resume;
  CrashToPlace crash;
  std::vector<std::byte> notes;
  std::string text;
  std::shared_ptr<const CrashLog> log;
};

bool is_over(Round& round) {
  std::lock_guard lock(round.mutex);
  return round.over;
}

Result<Announced> put(const Try& attempt) {
  Announced announced;
  DW_ASSIGN(std::unique_ptr<DumpStore> store,
            open_store(attempt.address, attempt.stores, attempt.target));
  DW_ASSIGN(DumpPlace place, find_dump_place(*store, attempt.crash, {.resume = attempt.resume}));
  if (place.saved_already) {
    announced.saved_at = store->display(place.name);
    return announced;
  }
  if (is_over(*attempt.round)) return announced;
  auto wanted = [&] { return !is_over(*attempt.round); };
  // The report of a dump that will be gone on with says more.
  if (!place.interrupted)
    DW_TRY(
        store->put_file(place.name, kReportName, std::as_bytes(std::span(attempt.text)), wanted));
  announced.put = true;
  if (!attempt.log) return announced;
  Status logged = put_log(*store, place.name, *attempt.log, wanted);
  if (!logged.ok()) announced.error = logged.error();
  return announced;
}

void answer(const Try& attempt, const Result<Announced>& announced) {
  Round& round = *attempt.round;
  std::lock_guard lock(round.mutex);
  Announced& result = round.results[attempt.number];
  if (announced.ok())
    result = *announced;
  else
    result.error = announced.error();
  --round.open;
  round.answered.notify_all();
}

void run_try(void* raw) {
  std::unique_ptr<Try> attempt(static_cast<Try*>(raw));
  answer(*attempt, put(*attempt));
  std::string target = std::move(attempt->target);
  attempt.reset();
  note_end(target);
}

// None of the limits of one step may be longer than that of all.
StoreOptions hurried(StoreOptions stores, uint64_t limit_ms) {
  for (uint32_t* ms : {&stores.times.connect_ms, &stores.times.reply_ms, &stores.times.sync_ms,
                       &stores.times.busy_ms})
    *ms = static_cast<uint32_t>(std::min<uint64_t>(*ms, limit_ms));
  stores.ssh_connections = 1;
  stores.little_memory = true;
  return stores;
}

Status start_try(const Capture& capture, const Job& job, const std::shared_ptr<Round>& round,
                 size_t number, const std::string& text, uint64_t limit_ms) {
  auto attempt = std::make_unique<Try>(Try{.round = round,
                                           .number = number,
                                           .target = job.target,
                                           .address = job.address,
                                           .stores = hurried(capture.options.stores, limit_ms),
                                           .resume = capture.options.resume,
                                           .crash = crash_to_place(capture, job),
                                           .notes = {},
                                           .text = text,
                                           .log = capture.log});
  attempt->notes.assign(attempt->crash.notes.begin(), attempt->crash.notes.end());
  attempt->crash.notes = attempt->notes;
  note_running(job.target);
  Status started = start_detached_thread(run_try, attempt.get());
  if (started.ok())
    (void)attempt.release();  // run_try() deletes it
  else
    note_end(job.target);
  return started;
}

}  // namespace

std::vector<Announced> announce(const Capture& capture, std::span<const Job* const> jobs,
                                const std::string& text, uint64_t limit_ms) {
  auto round = std::make_shared<Round>();
  Error late(ErrorKind::kTimeout, "no answer in time");
  round->results.assign(jobs.size(), {.put = false, .saved_at = {}, .error = late});
  round->open = jobs.size();
  for (size_t i = 0; i < jobs.size(); ++i) {
    Status started = start_try(capture, *jobs[i], round, i, text, limit_ms);
    if (started.ok()) continue;
    std::lock_guard lock(round->mutex);
    round->results[i].error = started.error();
    --round->open;
  }
  std::unique_lock lock(round->mutex);
  round->answered.wait_for(lock, std::chrono::milliseconds(limit_ms),
                           [&] { return round->open == 0; });
  round->over = true;
  return round->results;
}

bool announcements_running() {
  std::lock_guard lock(running().mutex);
  return !running().targets.empty();
}

bool announcement_running(const std::string& target) {
  std::lock_guard lock(running().mutex);
  return std::ranges::find(running().targets, target) != running().targets.end();
}

}  // namespace dw
