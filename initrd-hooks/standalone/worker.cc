#include "initrd-hooks/standalone/worker.h"

#include "initrd-hooks/standalone/modules.h"
#include "initrd-hooks/standalone/target_setup.h"

namespace dw {

namespace {

class Arguments {
 public:
  void add(const char* option, const std::string& value) {
    if (value.empty()) return;
    list_.emplace_back(option);
    list_.push_back(value);
  }
  void add(const char* option, const std::optional<uint64_t>& value) {
    if (value) add(option, std::to_string(*value));
  }
  void add(const std::vector<std::string>& values) {
    list_.insert(list_.end(), values.begin(), values.end());
  }
  std::vector<std::string> take() { return std::move(list_); }

 private:
  std::vector<std::string> list_{"capture"};
};

// Tells process 1, through the memory shared with it.
class SharedEvents final : public CaptureEvents {
 public:
  explicit SharedEvents(SharedProgress& progress) : progress_(progress) {}
  void on_progress() override { progress_.beat(); }
  void on_published() override { progress_.publish(); }
  void on_log() override { progress_.has_log = true; }
  void on_pages() override { progress_.has_pages = true; }

 private:
  SharedProgress& progress_;
};

class Worker {
 public:
  Worker(const Work& work, SharedProgress& progress) : work_(work), progress_(progress) {}

  void run() {
    load_modules(*work_.boot, progress_, *work_.log);
    if (work_.config->targets.empty()) {
      work_.log->say("no target is configured: nothing can be saved");
      return progress_.record(CaptureStatus::kUsage);
    }
    TargetSetup setup(work_.config->targets, *work_.boot, work_.steps, work_.limits, progress_,
                      *work_.log);
    std::vector<std::string> targets = setup.targets();
    if (targets.empty()) {
      work_.log->say("no target is left");
      return progress_.record(CaptureStatus::kNothing);
    }
    setup.start();
    capture_to(targets, setup);
    setup.release();
  }

 private:
  void capture_to(const std::vector<std::string>& targets, TargetSetup& setup) {
    progress_.begin_capture();
    std::vector<std::string> words =
        capture_arguments(*work_.config, progress_.restarts > 0, targets);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    SharedEvents events(progress_);
    int status = work_.capture(static_cast<int>(words.size()), arguments.data(), events, setup);
    progress_.end_capture(static_cast<CaptureStatus>(status));
    progress_.end_target(TargetState::kTried);
    work_.log->say("the capture ended with status %d", status);
  }

  const Work& work_;
  SharedProgress& progress_;
};

}  // namespace

std::vector<std::string> capture_arguments(const Config& config, bool careful,
                                           const std::vector<std::string>& targets) {
  Arguments arguments;
  arguments.add("--source", "/proc/vmcore");
  arguments.add("--dump-level", config.dump_level);
  arguments.add("--format", config.format);
  arguments.add("--compress", config.compress);
  arguments.add("--threads", careful ? std::optional<uint64_t>(1) : config.threads);
  arguments.add("--memory-limit", config.memory_limit);
  arguments.add("--retry-for", config.retry_for_s);
  arguments.add("--stall-timeout", config.stall_timeout_s);
  arguments.add("--connect-timeout", config.connect_timeout_s);
  arguments.add("--reply-timeout", config.reply_timeout_s);
  arguments.add("--sync-timeout", config.sync_timeout_s);
  arguments.add("--ssh-key", config.ssh_key);
  arguments.add("--ssh-known-hosts", config.ssh_known_hosts);
  arguments.add("--ssh-connections", config.ssh_connections);
  arguments.add("--nfs-version", config.nfs_version);
  arguments.add("--hostname", config.hostname);
  arguments.add(targets);
  return arguments.take();
}

CaptureStatus run_worker(const Work& work, SharedProgress& progress) {
  Worker(work, progress).run();
  return progress.best();
}

}  // namespace dw
