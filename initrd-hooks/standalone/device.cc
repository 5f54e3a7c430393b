#include "initrd-hooks/standalone/device.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <memory>

#include "capture/target/address.h"
#include "initrd-hooks/standalone/device_reader.h"
#include "initrd-hooks/standalone/helper_process.h"
#include "initrd-hooks/standalone/progress.h"

namespace dw {

namespace {

constexpr std::string_view kScheme = "dev:";
constexpr size_t kMaxListed = 64;
// Disks that are read at the same time; those that hang stay among them.
constexpr size_t kMaxProbes = 64;
constexpr int64_t kProbePollMs = 5;
// Never reached: whoever waits has a limit, and ends them.
constexpr int64_t kProbeLimitMs = 3600 * 1000;

Error bad_target(const char* what, std::string_view target) {
  return Error(ErrorKind::kUsage, what)
      .on(target)
      .hint("use dev:/dev/X:/DIR, dev:UUID=U:/DIR, dev:LABEL=L:/DIR or dev:PARTUUID=P:/DIR");
}

bool has_parent_component(std::string_view directory) {
  return directory == "/.." || directory.ends_with("/..") ||
         directory.find("/../") != directory.npos;
}

DeviceTarget named_device(std::string_view name) {
  constexpr struct {
    std::string_view prefix;
    DeviceTarget::By by;
  } kPrefixes[] = {{"UUID=", DeviceTarget::By::kUuid},
                   {"LABEL=", DeviceTarget::By::kLabel},
                   {"PARTUUID=", DeviceTarget::By::kPartUuid},
                   {"/dev/disk/by-partuuid/", DeviceTarget::By::kPartUuid},
                   {"/dev/disk/by-uuid/", DeviceTarget::By::kUuid},
                   {"/dev/disk/by-label/", DeviceTarget::By::kLabel}};
  for (const auto& [prefix, by] : kPrefixes)
    if (name.starts_with(prefix)) return {by, std::string(name.substr(prefix.size())), {}};
  return {DeviceTarget::By::kPath, std::string(name), {}};
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string encoded_label(std::string_view label) {
  constexpr std::string_view kPlain = "#+-.:=@_";
  std::string text;
  for (char c : label) {
    char hex[5];
    std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
    bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                 static_cast<unsigned char>(c) >= 0x80 || kPlain.find(c) != kPlain.npos;
    text += plain ? std::string(1, c) : hex;
  }
  return text;
}

void sleep_ms(int64_t ms) {
  timespec time{.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
  ::nanosleep(&time, nullptr);
}

// A found device crosses from its process as text: path, kind with UUID, label.
std::string text_of(const std::optional<FoundDevice>& found) {
  if (!found) return {};
  char kind = found->file_system.kind == FileSystem::Kind::kXfs ? 'x' : 'e';
  return found->path + '\n' + kind + found->file_system.uuid + '\n' + found->file_system.label;
}

std::optional<FoundDevice> found_in(std::string_view text) {
  size_t kind = text.find('\n');
  size_t label = text.find('\n', kind + 1);
  if (kind == text.npos || label == text.npos) return std::nullopt;
  FoundDevice found{std::string(text.substr(0, kind)), {}};
  found.file_system.kind = text[kind + 1] == 'x' ? FileSystem::Kind::kXfs : FileSystem::Kind::kExt;
  found.file_system.uuid = text.substr(kind + 2, label - kind - 2);
  found.file_system.label = text.substr(label + 1);
  return found;
}

// Looks again and again, but reads each device once only: some are slow to answer, and one that
// never does keeps its process and nobody else waiting.
class Finder {
 public:
  Finder(const DeviceTarget& target, const DevicePlaces& places, bool mounted)
      : target_(target), reader_(target, places, mounted), patience_ms_(places.patience_ms) {}

  // Whether it is there; found() is then the device.
  Result<bool> look() {
    if (target_.by == DeviceTarget::By::kPath) return look_at_path();
    return look_at_all();
  }
  FoundDevice& found() { return *found_; }

  // Why it was not found, as far as that is known, and what is there instead.
  void tell(const Log& log) const {
    std::vector<DiskDevices> disks = reader_.disks();
    log.say("%zu disks are there", disks.size());
    std::vector<Description> open;
    for (size_t i = 0; i < std::min(disks.size(), kMaxListed); i++)
      open.push_back({&disks[i], nullptr, shared_clock_ms() + patience_ms_});
    // One that hangs takes no time from the others. Ends, as each has its limit.
    while (!open.empty()) {
      for (Description& description : open) advance(description, log);
      std::erase_if(open, [](const Description& description) { return description.done; });
      sleep_ms(kProbePollMs);
    }
    if (trouble_) log.warn(*trouble_);
  }

 private:
  struct Probe {
    DiskDevices devices;
    std::unique_ptr<HelperProcess> process;
  };

  Result<bool> look_at_path() {
    auto found = reader_.read_path();
    if (!found.ok() && found.error().kind() == ErrorKind::kUnsupported) return found.error();
    // Not there yet, or not ready yet; which of them is told if it stays so.
    if (!found.ok()) trouble_ = found.error();
    if (found.ok()) found_ = std::move(*found);
    return found.ok();
  }

  // Of several that match, the first in the order of names is taken, if it answers in time.
  Result<bool> look_at_all() {
    std::vector<DiskDevices> waiting = unread();
    std::optional<Error> refused;
    int64_t end = shared_clock_ms() + (waiting.empty() ? 0 : patience_ms_);
    for (;;) {
      start(waiting);
      collect(refused);
      bool late = shared_clock_ms() >= end;
      if (found_ && (late || none_before(*found_))) return true;
      if (late || (waiting.empty() && probes_.empty())) break;
      sleep_ms(kProbePollMs);
    }
    // The RAID itself may be there too, if the kernel put it together.
    if (refused && probes_.empty()) return *refused;
    return false;
  }

  // What was not read yet, without the disks that are being read.
  [[nodiscard]] std::vector<DiskDevices> unread() {
    std::vector<DiskDevices> disks = reader_.disks();
    forget_gone(disks);
    for (DiskDevices& devices : disks) {
      bool busy = std::ranges::any_of(
          probes_, [&](const Probe& probe) { return probe.devices.disk == devices.disk; });
      std::erase_if(devices.names, [&](const std::string& name) {
        return busy || std::ranges::binary_search(read_, name);
      });
    }
    std::erase_if(disks, [](const DiskDevices& devices) { return devices.names.empty(); });
    return disks;
  }

  // The next one of its name may be another.
  void forget_gone(const std::vector<DiskDevices>& there) {
    std::erase_if(read_, [&](const std::string& name) {
      return std::ranges::none_of(there, [&](const DiskDevices& devices) {
        return std::ranges::find(devices.names, name) != devices.names.end();
      });
    });
  }

  // As many as there may be at once.
  void start(std::vector<DiskDevices>& waiting) {
    while (!waiting.empty() && probes_.size() < kMaxProbes) {
      Probe probe{std::move(waiting.front()), nullptr};
      waiting.erase(waiting.begin());
      auto process = HelperProcess::start(
          [&]() -> Result<std::string> {
            DW_ASSIGN(auto found, reader_.find_among(probe.devices.names));
            return text_of(found);
          },
          kProbeLimitMs);
      if (!process.ok()) {
        trouble_ = process.error();
        continue;
      }
      probe.process = std::move(*process);
      probes_.push_back(std::move(probe));
    }
  }

  // Takes what the processes found that have ended.
  void collect(std::optional<Error>& refused) {
    std::erase_if(probes_, [&](const Probe& probe) {
      const auto& outcome = probe.process->outcome();
      if (!outcome) return false;
      if (outcome->ok())
        settle(probe.devices.names, found_in(**outcome));
      else if (outcome->error().kind() == ErrorKind::kUnsupported)
        refused = outcome->error();
      return true;
    });
  }

  void settle(const std::vector<std::string>& names, std::optional<FoundDevice> found) {
    for (const std::string& name : names) read_.insert(std::ranges::upper_bound(read_, name), name);
    if (found && (!found_ || found->path < found_->path)) found_ = std::move(found);
  }

  // Whether no disk is read still whose name is before that of the device.
  [[nodiscard]] bool none_before(const FoundDevice& found) const {
    std::string_view name = std::string_view(found.path).substr(found.path.rfind('/') + 1);
    return std::ranges::none_of(probes_,
                                [&](const Probe& probe) { return probe.devices.disk < name; });
  }

  // What a disk holds is told by a process of its own, since reading may hang.
  struct Description {
    const DiskDevices* devices;
    std::unique_ptr<HelperProcess> process;
    int64_t end_ms;
    bool done = false;
  };

  // Takes it further; a disk that is being read still is left to that.
  void advance(Description& description, const Log& log) const {
    if (description.process) {
      description.done = description.process->outcome().has_value();
    } else if (!is_being_read(*description.devices)) {
      auto process = start_description(*description.devices, log);
      description.done = !process.ok();
      if (!process.ok()) return log.warn(process.error());
      description.process = std::move(*process);
      description.end_ms = shared_clock_ms() + patience_ms_;
    }
    if (description.done || shared_clock_ms() < description.end_ms) return;
    log.say("  %s: has not answered in %lld ms", description.devices->disk.c_str(),
            static_cast<long long>(patience_ms_));
    description.done = true;
  }

  [[nodiscard]] bool is_being_read(const DiskDevices& devices) const {
    return std::ranges::any_of(probes_, [&](const Probe& probe) {
      return probe.devices.disk == devices.disk && !probe.process->outcome();
    });
  }

  [[nodiscard]] Result<std::unique_ptr<HelperProcess>> start_description(const DiskDevices& devices,
                                                                         const Log& log) const {
    return HelperProcess::start(
        [&]() -> Result<std::string> {
          for (const std::string& name : devices.names) reader_.describe(name, log);
          return std::string();
        },
        kProbeLimitMs);
  }

  const DeviceTarget& target_;
  DeviceReader reader_;
  int64_t patience_ms_;
  std::vector<std::string> read_;  // sorted
  std::vector<Probe> probes_;
  std::optional<FoundDevice> found_;
  std::optional<Error> trouble_;
};

Error did_not_appear(const std::string& device) {
  return Error(ErrorKind::kTimeout, "did not appear")
      .on(device)
      .hint("is the driver of its controller among the modules of the initrd?");
}

Result<FoundDevice> wait_with(const DeviceTarget& target, const DevicePlaces& places,
                              int64_t limit_ms, const Log& log, bool mounted) {
  Finder finder(target, places, mounted);
  int64_t end = shared_clock_ms() + limit_ms;
  for (bool first = true;; first = false) {
    DW_ASSIGN(bool found, finder.look());
    if (found) return std::move(finder.found());
    if (shared_clock_ms() >= end) break;
    if (first) log.say("waiting for the device %s", target.name.c_str());
    sleep_ms(kDevicePollMs);
  }
  finder.tell(log);
  return did_not_appear(target.name);
}

}  // namespace

Result<Fd> open_device(const char* path) { return open_file(path, O_RDONLY | O_NONBLOCK); }

bool is_device_target(std::string_view target) { return target.starts_with(kScheme); }

Result<DeviceTarget> parse_device_target(std::string_view target) {
  if (!is_device_target(target)) return bad_target("is not a device target", target);
  std::string_view rest = target.substr(kScheme.size());
  size_t colon = rest.find(":/");
  if (colon == rest.npos) return bad_target("names no directory", target);
  DeviceTarget result = named_device(rest.substr(0, colon));
  result.directory = rest.substr(colon + 1);
  if (result.name.empty()) return bad_target("names no device", target);
  if (result.by == DeviceTarget::By::kPath && !result.name.starts_with("/dev/"))
    return bad_target("names neither a path in /dev nor a UUID, LABEL or PARTUUID", target);
  if (has_parent_component(result.directory) || has_parent_component(result.name))
    return bad_target("has '..' in it", target);
  return result;
}

std::string udev_path(const DeviceTarget& target) {
  switch (target.by) {
    case DeviceTarget::By::kPath:
      return target.name;
    case DeviceTarget::By::kUuid:
      return "/dev/disk/by-uuid/" + lower_case(target.name);
    case DeviceTarget::By::kLabel:
      return "/dev/disk/by-label/" + encoded_label(target.name);
    case DeviceTarget::By::kPartUuid:
      return "/dev/disk/by-partuuid/" + lower_case(target.name);
  }
  return target.name;
}

std::string place_in_initrd(std::string_view target) {
  auto address = parse_target_address(target);
  if (!address.ok()) return std::string(target);
  auto device = parse_device_target(target);
  if (device.ok()) address->path = udev_path(*device) + ":" + device->directory;
  return place_of(*address);
}

Result<std::optional<FileSystem>> read_file_system(const std::string& path,
                                                   Result<Fd> (*open)(const char*)) {
  DW_ASSIGN(Fd device, open(path.c_str()));
  std::vector<std::byte> head(kProbeBytes);
  DW_ASSIGN(size_t size, read_up_to_at(device.get(), head, 0));
  return probe_superblock(Bytes(head).first(size));
}

Result<FoundDevice> wait_for_device(const DeviceTarget& target, const DevicePlaces& places,
                                    int64_t limit_ms, const Log& log) {
  return wait_with(target, places, limit_ms, log, true);
}

Result<std::string> wait_for_partition(const std::string& uuid, const DevicePlaces& places,
                                       int64_t limit_ms, const Log& log) {
  DeviceTarget target{DeviceTarget::By::kPartUuid, uuid, {}};
  DW_ASSIGN(FoundDevice found, wait_with(target, places, limit_ms, log, false));
  return std::move(found.path);
}

Status wait_for_block_device(const std::string& path, int64_t limit_ms, const Log& log) {
  for (int64_t waited_ms = 0;; waited_ms += kDevicePollMs) {
    struct stat about {};
    if (::stat(path.c_str(), &about) == 0 && S_ISBLK(about.st_mode)) return {};
    if (waited_ms >= limit_ms) return did_not_appear(path);
    if (waited_ms == 0) log.say("waiting for the device %s", path.c_str());
    sleep_ms(kDevicePollMs);
  }
}

}  // namespace dw
