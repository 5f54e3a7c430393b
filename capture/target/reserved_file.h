// A small file that can be written, and replaced, on a full disk.
//
// Its next content goes to a spare, NAME.new, whose space was reserved before; then the two change
// names, so that the space of the old content is that of the next. NAME is absent or whole at every
// moment. Thread safety: one thread. The directory's descriptor belongs to the caller.
#pragma once

#include <cstddef>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/file_content.h"
#include "capture/target/still_wanted.h"

namespace dw {

class ReservedFile {
 public:
  // Makes room for contents of up to `bytes`. What an earlier run left as a spare is used.
  static Result<ReservedFile> create(int directory, const char* name, size_t bytes);

  [[nodiscard]] const std::string& name() const { return name_; }
  // Durable on return. With an error NAME holds what it did before, or `content`.
  Status put(Bytes content);
  void remove_spares();
  // Those that another run left beside NAME.
  static void remove_spares(int directory, const char* name);

  // The same without room that was made before, and with nothing left beside NAME: by NAME.once, so
  // that the spares of somebody else stay. As DumpStore::put_file().
  static Status put_once(int directory, const char* name, const FileContent& content,
                         const StillWanted& wanted = {});

 private:
  ReservedFile(int directory, const char* name, size_t bytes)
      : directory_(directory), name_(name), bytes_(bytes) {}

  [[nodiscard]] std::string spare() const { return name_ + ".new"; }
  // While there is no NAME whose space could become the next spare's.
  [[nodiscard]] std::string second_spare() const { return name_ + ".spare"; }
  [[nodiscard]] std::string once() const { return name_ + ".once"; }
  Status reserve(const std::string& spare) const;
  Status write_whole(const std::string& name, const FileContent& content) const;
  Status put_new(const FileContent& content, const StillWanted& wanted) const;
  Status swap();

  int directory_;
  std::string name_;
  size_t bytes_;
};

}  // namespace dw
