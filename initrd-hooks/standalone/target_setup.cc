#include "initrd-hooks/standalone/target_setup.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "capture/target/address.h"
#include "initrd-hooks/standalone/device.h"

namespace dw {

namespace {

constexpr char kMountFolder[] = "/kdumproot/";

void sleep_ms(int64_t ms) {
  timespec time{.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
  ::nanosleep(&time, nullptr);
}

Error passed_over(TargetState state, const std::string& target) {
  if (state == TargetState::kStalled)
    return Error(ErrorKind::kTimeout, "did not move any more, and is not tried again").on(target);
  return Error(ErrorKind::kIo, "failed before the capture was started once more").on(target);
}

}  // namespace

TargetSetup::TargetSetup(const std::vector<std::string>& targets,
                         const std::vector<BootParameter>& boot, const TargetSteps& steps,
                         const TargetLimits& limits, SharedProgress& progress, const Log& log)
    : boot_(boot), steps_(steps), limits_(limits), progress_(progress), log_(log) {
  for (size_t i = 0; i < std::min(targets.size(), kMaxTargets); i++)
    add(targets[i], static_cast<uint32_t>(i));
}

void TargetSetup::add(const std::string& target, uint32_t number) {
  log_.say("target %u: %s", number + 1, target.c_str());
  auto need = need_of(target, number);
  if (!need.ok()) return log_.warn(need.error());
  std::string place = place_in_initrd(target);
  if (std::ranges::find(items_, place, &Item::place) != items_.end())
    return log_.say("%s: is there already; left out", target.c_str());
  // The capture calls a directory by its path alone.
  std::string name = directory_of_target(target).value_or(target);
  items_.push_back({std::move(name), std::move(place), number, std::move(*need)});
}

Result<std::shared_ptr<TargetSetup::Need>> TargetSetup::need_of(const std::string& target,
                                                                uint32_t number) {
  DW_ASSIGN(TargetAddress address, parse_target_address(target));
  switch (address.kind) {
    case TargetKind::kDirectory:
      DW_TRY(steps_.check_directory(address.path));
      return std::shared_ptr<Need>();
    case TargetKind::kStdout:
      return Error(ErrorKind::kUsage, "cannot be used in the initrd").on(target);
    case TargetKind::kDevice: {
      DW_TRY(parse_device_target(target));
      std::string mount_point = kMountFolder + std::to_string(number);
      auto need = new_need([=, this] { return steps_.mount(target, mount_point, log_); });
      need->mount_point = mount_point;
      return need;
    }
    case TargetKind::kRaw:
      return new_need([=, this] { return steps_.find_raw(target, log_); });
    case TargetKind::kNfs:
    case TargetKind::kSsh:
      break;
  }
  if (!network_)
    network_ = new_need([this]() -> Result<std::string> {
      DW_TRY(steps_.bring_up_network(boot_, log_));
      return std::string();
    });
  return network_;
}

std::shared_ptr<TargetSetup::Need> TargetSetup::new_need(HelperProcess::Work work) {
  auto need = std::make_shared<Need>();
  need->work = std::move(work);
  return need;
}

TargetSetup::Item* TargetSetup::find(const std::string& target) {
  auto found = std::ranges::find(items_, target, &Item::target);
  return found == items_.end() ? nullptr : &*found;
}

bool TargetSetup::is_left(const Item& item) const {
  return progress_.target(item.number) == TargetState::kOpen;
}

bool TargetSetup::is_ready(const Item& item) { return !item.need || item.need->ready; }

std::vector<std::string> TargetSetup::targets() const {
  std::vector<std::string> names;
  if (std::ranges::none_of(items_, [this](const Item& item) { return is_left(item); }))
    return names;
  for (const Item& item : items_) names.push_back(item.target);
  return names;
}

void TargetSetup::begin(Need& need) const {
  need.failure.reset();
  auto process = HelperProcess::start(need.work, limits_.ready_ms);
  if (process.ok()) {
    need.process = std::move(*process);
  } else {
    need.failure = process.error();
    need.failed_ms = shared_clock_ms();
  }
}

bool TargetSetup::look_at(Need& need) const {
  if (need.ready || need.failure || !need.process) return true;
  const auto& outcome = need.process->outcome();
  if (!outcome) return false;
  if (outcome->ok()) {
    need.ready = **outcome;
    return true;
  }
  need.failure = outcome->error();
  need.failed_ms = shared_clock_ms();
  return true;
}

Error TargetSetup::failure_of(const Need& need, const std::string& target) {
  Error error = *need.failure;
  return error.subject().empty() ? error.on(target) : error;
}

// What hangs would only hang again. A network may come late, so it is tried again at once if
// nothing else is left.
bool TargetSetup::may_retry(const Item& item) const {
  const Need& need = *item.need;
  if (!need.failure || (need.process && need.process->hangs())) return false;
  bool others =
      std::ranges::any_of(items_.begin() + (&item - items_.data() + 1), items_.end(),
                          [](const Item& next) { return !next.need || !next.need->failure; });
  bool last = item.need == network_ && !others && !need.tried_again;
  return last || shared_clock_ms() - need.failed_ms >= limits_.retry_after_ms;
}

// Ends, because each helper has its limit.
void TargetSetup::wait_for(Need& need) {
  while (!look_at(need)) {
    progress_.stir();
    sleep_ms(limits_.poll_ms);
  }
}

void TargetSetup::start() {
  progress_.enter(Step::kTargets);
  for (Item& item : items_)
    if (item.need && !item.need->process && progress_.target(item.number) != TargetState::kStalled)
      begin(*item.need);
  for (Item& item : items_) {
    if (!is_left(item)) continue;
    if (item.need) wait_for(*item.need);
    if (is_ready(item)) break;
    // Its turn will tell; but that may be hours from now.
    if (item.need->failure) log_.warn(failure_of(*item.need, item.target));
  }
  int64_t end = shared_clock_ms() + limits_.others_ms;
  auto settled = [this](Item& item) { return !item.need || look_at(*item.need); };
  while (!std::ranges::all_of(items_, settled) && shared_clock_ms() < end) {
    progress_.stir();
    sleep_ms(limits_.poll_ms);
  }
}

Result<std::string> TargetSetup::take(const std::string& target) {
  turns_began_ = true;
  Item* item = find(target);
  if (item == nullptr) return target;
  if (!is_left(*item)) return passed_over(progress_.target(item->number), target);
  progress_.begin_target(item->number);
  if (!item->need) return target;
  Need& need = *item->need;
  look_at(need);
  if (may_retry(*item)) {
    need.tried_again = true;
    begin(need);
  }
  wait_for(need);
  if (need.failure) return failure_of(need, target);
  return need.ready->empty() ? target : *need.ready;
}

Result<std::optional<std::string>> TargetSetup::peek(const std::string& target) {
  std::optional<std::string> nothing;
  Item* item = find(target);
  if (item == nullptr) return std::optional(target);
  if (progress_.target(item->number) == TargetState::kStalled)
    return passed_over(TargetState::kStalled, target);
  // It may have been this for which there was not enough memory.
  if (progress_.restarts > 0 && !turns_began_) return nothing;
  if (!item->need) return std::optional(target);
  if (!look_at(*item->need)) return nothing;
  if (item->need->failure) return failure_of(*item->need, target);
  return item->need->ready->empty() ? std::optional(target) : item->need->ready;
}

void TargetSetup::release() {
  progress_.enter(Step::kRelease);
  std::vector<std::unique_ptr<HelperProcess>> helpers;
  for (Item& item : items_) {
    if (!item.need || item.need->mount_point.empty() || !item.need->ready) continue;
    auto helper = HelperProcess::start(
        [this, &item]() -> Result<std::string> {
          DW_TRY(steps_.release(item.need->mount_point));
          return std::string();
        },
        limits_.release_ms);
    if (helper.ok())
      helpers.push_back(std::move(*helper));
    else
      log_.warn(helper.error());
  }
  for (auto& helper : helpers) {
    while (!helper->outcome()) sleep_ms(limits_.poll_ms);
    if (const auto& outcome = *helper->outcome(); !outcome.ok()) log_.warn(outcome.error());
  }
}

}  // namespace dw
