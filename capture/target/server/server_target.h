// A dump as a file on a server: NAME/vmcore, or vmcore.zst and so on by its format.
//
// Staged, published and sealed by the names that FileTarget uses. Against another capture of the
// same crash a server offers no lock that ends with its owner. So a staged file that is found was
// left behind, or belongs to a capture that is slow: it loses its name, and whoever publishes looks
// first whether the name is still that of its own file. Room that is made is filled with zeros.
//
// What was appended may find the disk full when it arrives: then a later call, at the latest the
// next sync(), says so, and that is final. A barrier() does not wait: the commit is on its way
// while more is appended, and what has to come behind it is held here meanwhile. Once the
// connection is lost every call fails with kLost or kTimeout. Thread safety: as Target; while it
// lives nobody else uses the server, which a thread of its own keeps alive. Ownership: the server
// outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "capture/target/dump_store.h"
#include "capture/target/server/file_server.h"
#include "capture/target/server/held_writes.h"
#include "capture/target/server/remote_file.h"
#include "capture/target/server/remote_small_files.h"
#include "capture/target/server/server_keeper.h"
#include "capture/target/server/server_room.h"
#include "capture/target/target.h"

namespace dw {

class ServerTarget : public Target {
 public:
  // As DumpStore::create() and reopen(). `file` is one of kDumpNames.
  static Result<std::unique_ptr<ServerTarget>> create(FileServer& server, const std::string& name,
                                                      const char* file);
  static Result<std::unique_ptr<ServerTarget>> reopen(FileServer& server, const std::string& name,
                                                      const char* file);

  // What create() or reopen() allocates at most, in bytes; the server's own is not in it.
  [[nodiscard]] static size_t memory_bytes() {
    return RemoteFile::memory_bytes(kDumpMemory) + RemoteFile::memory_bytes(kSumsMemory);
  }

  // Removes a staged file and, if it is then empty, its folder, if the connection stands.
  ~ServerTarget() override;

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Status append(uint64_t offset, Bytes bytes) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status barrier() override;
  Status write_behind(uint64_t offset, Bytes bytes) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override;
  Status preallocate_sums(uint64_t length) override;
  Status cut_sums(uint64_t size) override;
  Status put_file(const char* name, Bytes content) override;
  Status reserve_file(const char* name, size_t bytes) override;
  [[nodiscard]] std::optional<uint64_t> free_bytes() override;
  Status sync() override;
  Status publish() override;
  Status seal() override;
  [[nodiscard]] bool may_be_published() const override { return may_be_published_; }

  [[nodiscard]] bool sync_is_durable() const override { return server_->promises().durable; }
  [[nodiscard]] bool replaces_safely() const override {
    return server_->promises().replaces_safely;
  }
  [[nodiscard]] std::string path() const override { return display_ + "/" + current_name_; }

 private:
  static constexpr RemoteFile::Memory kDumpMemory{.piece = 256 << 10, .ahead = 2 << 20};
  static constexpr RemoteFile::Memory kSumsMemory{.piece = 0, .ahead = 256 << 10};

  ServerTarget(FileServer& server, const std::string& name, const char* file);

  Status stage();
  Status open_dump(FileServer::Open how);
  Status take_name();
  Status check_alone();
  Status check_still_named();
  Status remove_if_there(const std::string& name);
  Status open_sums(FileServer::Open how);
  Result<RemoteFile*> sums();
  // Of both files, as far as they are open.
  Status begin_commit();
  Status end_commit();
  Status commit_begun();
  // Whatever a commit that is on its way comes to, in time: nothing is held afterwards.
  Status settle();
  Status settle_if_done();
  Status hold(HeldWrites::File file, uint64_t offset, Bytes bytes);
  Status write_now(HeldWrites::File file, uint64_t offset, Bytes bytes);
  Status sync_all();
  Status trim_sums();
  Status rename_to(const std::string& name);

  // The file `name` of the dump, on the server.
  [[nodiscard]] std::string at(const std::string& name) const { return name_ + "/" + name; }
  // On the dump as it is called now, or on the file `name` beside it.
  [[nodiscard]] Status told(const Status& status) const { return told(status, current_name_); }
  [[nodiscard]] Status told(const Status& status, const std::string& name) const;

  FileServer* server_;
  std::string name_;
  std::string display_;
  std::string file_name_;
  std::string current_name_;
  std::mutex mutex_;
  std::optional<RemoteFile> dump_;
  std::optional<RemoteFile> sums_;  // of a new dump: from the first call for it on
  uint64_t sums_size_ = 0;          // without the room behind
  bool sums_have_room_ = false;
  HeldWrites held_;  // in memory of dump_
  bool committing_ = false;
  bool committing_sums_ = false;
  RemoteSmallFiles small_files_;
  ServerRoom room_;
  bool owns_staged_ = false;
  bool may_be_published_ = false;
  bool sync_failed_ = false;
  ServerKeeper keeper_;
};

}  // namespace dw
