// Makes the targets ready, all at the same time: devices are found and mounted, the network is
// brought up, each in a process of its own, so that one that hangs keeps nobody else waiting.
//
// The capture asks for each target when its turn comes. What an earlier child of process 1 is done
// with is left out, and so is what it stalled on.
// Thread safety: one thread, the one that calls the capture; start() has to come before there are
// others. Ownership: helpers that are still at it are killed with the object.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/target/target_access.h"
#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/device_mount.h"
#include "initrd-hooks/standalone/directory_target.h"
#include "initrd-hooks/standalone/helper_process.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/network/network.h"
#include "initrd-hooks/standalone/progress.h"

namespace dw {

// What is done to make a target ready; tests have their own.
struct TargetSteps {
  Status (*check_directory)(const std::string& directory) = refuse_memory;
  Status (*bring_up_network)(const std::vector<BootParameter>& boot,
                             const Log& log) = bring_up_initrd_network;
  Result<std::string> (*mount)(const std::string& target, const std::string& mount_point,
                               const Log& log) = mount_device_target;
  // Empty: the target as it is called.
  Result<std::string> (*find_raw)(const std::string& target, const Log& log) = find_raw_target;
  Status (*release)(const std::string& mount_point) = release_mount;
};

struct TargetLimits {
  int64_t ready_ms = 5 * 60 * 1000;  // for one target; mounting may replay a long journal
  int64_t others_ms = 10 * 1000;     // once the first is ready, before the capture begins
  // What failed so long ago is tried again in its turn; the network at once, if nothing else is
  // left.
  int64_t retry_after_ms = 30 * 1000;
  int64_t release_ms = 60 * 1000;
  int64_t poll_ms = 50;
};

class TargetSetup final : public TargetAccess {
 public:
  // All must outlive it.
  TargetSetup(const std::vector<std::string>& targets, const std::vector<BootParameter>& boot,
              const TargetSteps& steps, const TargetLimits& limits, SharedProgress& progress,
              const Log& log);

  // Those that a capture can be given, as it is to be given them. What is no target, or cannot be
  // one in the initrd, has been reported and is left out. Empty: nothing is left to be tried.
  [[nodiscard]] std::vector<std::string> targets() const;

  // Starts all, and waits until the first of them in their order is ready, and a little for the
  // others.
  void start();

  [[nodiscard]] bool mounts_devices() const override { return true; }
  Result<std::string> take(const std::string& target) override;
  Result<std::optional<std::string>> peek(const std::string& target) override;

  // Syncs and unmounts what was mounted.
  void release();

 private:
  // What one target needs, or several of them.
  struct Need {
    HelperProcess::Work work;
    std::string mount_point;  // empty: nothing is mounted
    std::unique_ptr<HelperProcess> process;
    std::optional<Error> failure;
    int64_t failed_ms = 0;
    bool tried_again = false;
    std::optional<std::string> ready;  // what is written to; empty: the target as it is called
  };
  struct Item {
    std::string target;
    std::string place;  // the same for all ways to write the target
    uint32_t number;
    std::shared_ptr<Need> need;  // null: nothing
  };

  void add(const std::string& target, uint32_t number);
  Result<std::shared_ptr<Need>> need_of(const std::string& target, uint32_t number);
  std::shared_ptr<Need> new_need(HelperProcess::Work work);
  Item* find(const std::string& target);
  void begin(Need& need) const;
  // Whether it is settled: ready or failed.
  bool look_at(Need& need) const;
  void wait_for(Need& need);
  [[nodiscard]] bool is_left(const Item& item) const;
  [[nodiscard]] bool may_retry(const Item& item) const;
  [[nodiscard]] static Error failure_of(const Need& need, const std::string& target);
  [[nodiscard]] static bool is_ready(const Item& item);

  const std::vector<BootParameter>& boot_;
  TargetSteps steps_;
  TargetLimits limits_;
  SharedProgress& progress_;
  const Log& log_;
  std::vector<Item> items_;
  std::shared_ptr<Need> network_;
  bool turns_began_ = false;
};

}  // namespace dw
