// A partition that holds one dump: as a place for dumps.
//
// A whole dump that nobody took off yet is not overwritten; every other is. Thread safety: as
// DumpStore.
#pragma once

#include <memory>
#include <string>

#include "capture/target/dump_store.h"
#include "capture/target/raw/raw_device.h"

namespace dw {

class RawStore : public DumpStore {
 public:
  // Errors as RawDevice::open().
  static Result<std::unique_ptr<RawStore>> open(const std::string& path, const RawOptions& options);

  Result<StandingDump> look(const std::string& name) override;
  Result<std::unique_ptr<Target>> create(const std::string& name, const char* file) override;
  [[nodiscard]] std::string overwritten() const override;
  Result<std::unique_ptr<Target>> reopen(const std::string& name, const char* file) override;
  Result<std::unique_ptr<ByteSource>> open_file(const std::string& name,
                                                const std::string& file) override;
  Status put_content(const std::string& name, const char* file, const FileContent& content,
                     const StillWanted& wanted) override;
  Status seal_finished(const std::string& name, const std::string& file) override;
  [[nodiscard]] std::string display(const std::string& name) const override {
    return device_.path() + ":" + name;
  }

 private:
  RawStore(RawDevice device, const RawOptions& options)
      : device_(std::move(device)), options_(options) {}

  [[nodiscard]] bool holds(const std::string& name) const;
  Status check_free() const;
  Status erase_foreign();
  Status begin(const std::string& name, const std::string& file);

  RawDevice device_;
  RawOptions options_;
};

}  // namespace dw
