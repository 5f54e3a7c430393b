// A small file on a server that can be written, and replaced, on a full disk. NAME is absent or
// whole at every moment, as far as the server promises that.
//
// As ReservedFile does it, but without exchanging names: the next content goes to NAME.new, which
// has its room already, and then takes the place of NAME, whose space the next NAME.new gets.
// Thread safety: none. The server belongs to the caller.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/file_content.h"
#include "capture/target/server/file_server.h"
#include "capture/target/still_wanted.h"

namespace dw {

class RemoteSmallFile {
 public:
  // Makes room for contents of up to `bytes`. What an earlier run left is thrown away.
  static Result<RemoteSmallFile> create(FileServer& server, std::string path, size_t bytes);

  [[nodiscard]] const std::string& path() const { return path_; }
  // Durable on return. With an error NAME holds what it did before, or `content`.
  Status put(Bytes content);
  // The same without room for a next one, and with nothing left beside it.
  Status put_last(Bytes content);
  void remove_spares();

  // The same without room that was made before, and with nothing left beside it: by NAME.once, so
  // that the spares of somebody else stay. As DumpStore::put_file().
  static Status put_once(FileServer& server, const std::string& path, const FileContent& content,
                         const StillWanted& wanted = {});
  // Those that another run left beside it.
  static void remove_spares(FileServer& server, const std::string& path);

 private:
  RemoteSmallFile(FileServer& server, std::string path, size_t bytes)
      : server_(&server), path_(std::move(path)), bytes_(bytes) {}

  [[nodiscard]] std::string spare_path() const { return path_ + ".new"; }
  // While there is no NAME whose space could become the next one's.
  [[nodiscard]] std::string second_path() const { return path_ + ".spare"; }
  [[nodiscard]] std::string once_path() const { return path_ + ".once"; }
  Status put_new(const FileContent& content, const StillWanted& wanted) const;
  [[nodiscard]] Result<std::unique_ptr<ServerFile>> make(const std::string& path) const;
  // The room may be on its way.
  Result<std::unique_ptr<ServerFile>> reserve(const std::string& path) const;
  Status reserve_all();
  Result<std::unique_ptr<ServerFile>> put_into_spare(Bytes content);
  Status replace(Bytes content);
  void next_spare();

  FileServer* server_;
  std::string path_;
  size_t bytes_;
  std::unique_ptr<ServerFile> spare_;
  std::unique_ptr<ServerFile> second_;
  bool second_there_ = false;  // ours, or another run's
};

}  // namespace dw
