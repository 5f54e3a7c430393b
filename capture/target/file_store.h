// A directory on a mounted file system that holds dumps. Thread safety: as DumpStore.
#pragma once

#include <memory>
#include <string>

#include "capture/base/fd.h"
#include "capture/target/dump_store.h"

namespace dw {

class FileStore : public DumpStore {
 public:
  // The directory is made, with its parents, if it is missing. Errors name it: not a directory, not
  // writable, read-only. `shown`: what messages call it.
  static Result<std::unique_ptr<FileStore>> open(const std::string& directory,
                                                 const std::string& shown);
  static Result<std::unique_ptr<FileStore>> open(const std::string& directory) {
    return open(directory, directory);
  }

  Result<StandingDump> look(const std::string& name) override;
  Result<std::unique_ptr<Target>> create(const std::string& name, const char* file) override;
  Result<std::unique_ptr<Target>> reopen(const std::string& name, const char* file) override;
  Result<std::unique_ptr<ByteSource>> open_file(const std::string& name,
                                                const std::string& file) override;
  Status put_content(const std::string& name, const char* file, const FileContent& content,
                     const StillWanted& wanted) override;
  void remove_leftovers(const std::string& name, const std::string& dump,
                        std::span<const char* const> files) override;
  Status seal_finished(const std::string& name, const std::string& file) override;
  [[nodiscard]] std::string display(const std::string& name) const override {
    return shown_ + "/" + name;
  }
  [[nodiscard]] std::optional<std::string> local_path(const std::string& name) const override {
    return directory_ + "/" + name;
  }

 private:
  FileStore(std::string directory, std::string shown, Fd root)
      : directory_(std::move(directory)), shown_(std::move(shown)), root_(std::move(root)) {}

  std::string directory_;
  std::string shown_;
  Fd root_;
};

}  // namespace dw
