#include "initrd-hooks/standalone/worker.h"

#include <algorithm>

#include "capture/target/address.h"
#include "initrd-hooks/standalone/modules.h"
#include "initrd-hooks/standalone/mounted_target.h"

namespace dw {

namespace {

constexpr char kMountFolder[] = "/kdumproot/";

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

 private:
  SharedProgress& progress_;
};

class Worker {
 public:
  Worker(const Work& work, SharedProgress& progress) : work_(work), progress_(progress) {}

  void run() {
    load_modules(*work_.boot, progress_, *work_.log);
    const std::vector<std::string>& targets = work_.config->targets;
    if (targets.empty()) {
      work_.log->say("no target is configured: nothing can be saved");
      return progress_.record(CaptureStatus::kUsage);
    }
    if (progress_.next_target >= targets.size()) {
      if (progress_.stalls > 0) {
        work_.log->say("no target is left");
        return progress_.record(CaptureStatus::kNothing);
      }
      // The last target killed the child before this one: with others gone, all are worth a try.
      progress_.next_target = 0;
    }
    while (progress_.next_target < targets.size() && progress_.best() != CaptureStatus::kComplete)
      use_target(progress_.next_target);
  }

 private:
  void use_target(uint32_t number) {
    const std::string& target = work_.config->targets[number];
    work_.log->say("target %u: %s", number + 1, target.c_str());
    // Counted now, so that a target whose device or mount ends this child is passed over by the
    // next.
    progress_.next_target = number + 1;
    Status status =
        is_device_target(target) ? use_device(number, target) : use_other(number, target);
    if (status.ok()) return;
    work_.log->warn(status.error());
    progress_.record(CaptureStatus::kNothing);
  }

  Status use_device(uint32_t number, const std::string& target) {
    DW_ASSIGN(DeviceTarget device_target, parse_device_target(target));
    progress_.enter(Step::kDevice);
    DW_ASSIGN(FoundDevice device,
              wait_for_device(device_target, DevicePlaces(), kDeviceWaitLimitMs, *work_.log));
    progress_.enter(Step::kMount);
    DW_ASSIGN(MountedTarget mounted,
              MountedTarget::mount(device, kMountFolder + std::to_string(number)));
    auto folder = mounted.resolve(device_target.directory);
    // A folder that is still to be made may lie behind a link that leads out of the file system.
    Status fit = folder.ok() ? work_.check_directory(*folder) : Status(folder.error());
    if (fit.ok()) run_capture(number, *folder);
    release(mounted);
    return fit;
  }

  Status use_other(uint32_t number, const std::string& target) {
    if (auto directory = directory_of_target(target)) DW_TRY(work_.check_directory(*directory));
    DW_ASSIGN(TargetAddress address, parse_target_address(target));
    if (is_on_network(address.kind)) DW_TRY(need_network());
    if (address.kind == TargetKind::kRaw) {
      progress_.enter(Step::kDevice);
      DW_TRY(wait_for_block_device(address.path, kDeviceWaitLimitMs, *work_.log));
    }
    run_capture(number, target);
    return {};
  }

  // One that could not be brought up may have a carrier by the next target.
  Status need_network() {
    if (has_network_) return {};
    progress_.enter(Step::kNetwork);
    DW_TRY(work_.bring_up_network(*work_.boot, *work_.log));
    has_network_ = true;
    return {};
  }

  void run_capture(uint32_t number, const std::string& target) {
    // A capture that is killed is resumed on the same target.
    progress_.next_target = number;
    progress_.begin_capture();
    std::vector<std::string> words =
        capture_arguments(*work_.config, progress_.restarts > 0, {target});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    SharedEvents events(progress_);
    int status = work_.capture(static_cast<int>(words.size()), arguments.data(), events);
    progress_.end_capture(static_cast<CaptureStatus>(status));
    progress_.next_target = number + 1;
    work_.log->say("the capture ended with status %d", status);
  }

  // The capture has synced what it wrote; a failure here is told but changes nothing.
  void release(MountedTarget& mounted) {
    progress_.enter(Step::kSync);
    if (Status status = mounted.sync(); !status.ok()) work_.log->warn(status.error());
    progress_.enter(Step::kUnmount);
    if (Status status = mounted.unmount(); !status.ok()) work_.log->warn(status.error());
  }

  const Work& work_;
  SharedProgress& progress_;
  bool has_network_ = false;
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
