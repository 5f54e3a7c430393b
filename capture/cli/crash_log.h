// vmcore-dmesg.txt: the crashed kernel's log as a file beside the dump.
//
// It is read out of the vmcore again for each target, piece by piece: the log may be as large as
// the capture kernel's memory, and several targets may want it at once.
// Thread safety: immutable; copy_to() may be called by several threads at once.
#pragma once

#include <memory>
#include <string>

#include "capture/base/result.h"
#include "capture/source/vmcore.h"
#include "capture/target/dump_store.h"
#include "capture/target/file_content.h"

namespace dw {

inline constexpr const char* kLogName = "vmcore-dmesg.txt";

class CrashLog final : public FileContent {
 public:
  // Reads all of it, to know its size. Errors as write_kernel_log(); kUnsupported too if it has
  // more than 64 MiB of text.
  static Result<std::shared_ptr<const CrashLog>> open(std::shared_ptr<const Vmcore> vmcore);

  [[nodiscard]] uint64_t size() const override { return size_; }
  // Memory that changed meanwhile may make it shorter; what it would be longer is left out.
  Status copy_to(const Take& take) const override;
  // Places of the log that could not be read or made no sense.
  [[nodiscard]] uint64_t damaged() const { return damaged_; }

 private:
  explicit CrashLog(std::shared_ptr<const Vmcore> vmcore) : vmcore_(std::move(vmcore)) {}

  std::shared_ptr<const Vmcore> vmcore_;
  uint64_t size_ = 0;
  uint64_t damaged_ = 0;
};

// Puts the log beside the dump `name`, if there is not one of its size already. Whether it is
// `wanted` is asked before each piece too. As DumpStore::put_content().
Status put_log(DumpStore& store, const std::string& name, const CrashLog& log,
               const StillWanted& wanted);

}  // namespace dw
