#include "capture/cli/crash_log.h"

#include <algorithm>
#include <utility>

#include "capture/kernel/log/kernel_log.h"

namespace dw {

namespace {

// Content whose making can be ended from outside.
class AskedContent final : public FileContent {
 public:
  AskedContent(const FileContent& content, const StillWanted& wanted)
      : content_(&content), wanted_(&wanted) {}

  [[nodiscard]] uint64_t size() const override { return content_->size(); }
  Status copy_to(const Take& take) const override {
    return content_->copy_to([&](Bytes bytes) -> Status {
      DW_TRY(check_wanted(*wanted_));
      return take(bytes);
    });
  }

 private:
  const FileContent* content_;
  const StillWanted* wanted_;
};

// A log that was overwritten may claim any length, and would take the dump's time and room.
constexpr uint64_t kMaxLogBytes = 64 << 20;

Error too_long() {
  Error error(ErrorKind::kUnsupported, "the log has more than 64 MiB of text");
  return error.hint("dumpwright dmesg prints what the dump has of it");
}

}  // namespace

Result<std::shared_ptr<const CrashLog>> CrashLog::open(std::shared_ptr<const Vmcore> vmcore) {
  std::shared_ptr<CrashLog> log(new CrashLog(std::move(vmcore)));
  uint64_t bytes = 0;
  auto count = [&](Bytes text) -> Status {
    bytes += text.size();
    return bytes <= kMaxLogBytes ? Status() : too_long();
  };
  DW_ASSIGN(KernelLogSummary summary, write_kernel_log(*log->vmcore_, count));
  log->size_ = summary.bytes;
  log->damaged_ = summary.damaged;
  return std::shared_ptr<const CrashLog>(std::move(log));
}

Status CrashLog::copy_to(const Take& take) const {
  uint64_t left = size_;
  Result<KernelLogSummary> copied = write_kernel_log(*vmcore_, [&](Bytes text) -> Status {
    Bytes part = text.first(std::min<uint64_t>(text.size(), left));
    left -= part.size();
    return part.empty() ? Status() : take(part);
  });
  return copied.ok() ? Status() : copied.error();
}

Status put_log(DumpStore& store, const std::string& name, const CrashLog& log,
               const StillWanted& wanted) {
  Result<std::unique_ptr<ByteSource>> there = store.open_file(name, kLogName);
  if (there.ok() && (*there)->size() == log.size()) return {};
  return store.put_content(name, kLogName, AskedContent(log, wanted), wanted);
}

}  // namespace dw
