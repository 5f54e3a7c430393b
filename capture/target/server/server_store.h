// A directory on a server that holds dumps.
//
// Thread safety: as DumpStore; of it, its targets and its sources only one is used at a time.
#pragma once

#include <memory>
#include <string>

#include "capture/target/dump_store.h"
#include "capture/target/server/file_server.h"

namespace dw {

class ServerStore : public DumpStore {
 public:
  explicit ServerStore(std::unique_ptr<FileServer> server) : server_(std::move(server)) {}

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
    return server_->display() + "/" + name;
  }
  // What one target allocates, and the server, in bytes.
  [[nodiscard]] size_t memory_bytes() const;

 private:
  [[nodiscard]] Error failed(const Error& error, const std::string& path) const;

  std::unique_ptr<FileServer> server_;
};

}  // namespace dw
