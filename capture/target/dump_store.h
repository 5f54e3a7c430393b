// A place that holds dumps, each in a folder of its own name: a directory, or one on a server.
//
// Thread safety: one thread. Ownership: a store outlives the targets and sources it made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "capture/base/byte_source.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/file_content.h"
#include "capture/target/still_wanted.h"
#include "capture/target/target.h"

namespace dw {

// What stands in a dump's folder already.
enum class Standing : uint8_t {
  kNothing,
  kIncomplete,
  kSealed,
  kOther,  // not a folder at all
};

struct StandingDump {
  Standing standing = Standing::kNothing;
  std::string file;  // its name in the dump's folder; a sealed one if there are several
};

class DumpStore {
 public:
  DumpStore() = default;
  DumpStore(const DumpStore&) = delete;
  DumpStore& operator=(const DumpStore&) = delete;
  virtual ~DumpStore() = default;

  // What is in the dump folder `name`.
  virtual Result<StandingDump> look(const std::string& name) = 0;

  // Makes the dump folder (mode 0700) and the staged file (0600) in it; `file` is what the dump
  // will be called. A folder without a dump in it is taken as it is.
  virtual Result<std::unique_ptr<Target>> create(const std::string& name, const char* file) = 0;

  // The dump that create() overwrites, for messages; empty where dumps stand beside each other.
  [[nodiscard]] virtual std::string overwritten() const { return {}; }

  // Opens the published dump NAME/FILE.incomplete to go on with it.
  virtual Result<std::unique_ptr<Target>> reopen(const std::string& name, const char* file) = 0;

  // To read a file of the dump `name`. Errors ENOENT and so on.
  virtual Result<std::unique_ptr<ByteSource>> open_file(const std::string& name,
                                                        const std::string& file) = 0;

  // Writes or replaces a small file in the dump folder `name`, made if missing. Durable on return.
  // It does not get in the way of a Target that reserved the same file meanwhile. Error kTimeout,
  // and nothing has changed, if it is not `wanted` any more when it would get its name.
  virtual Status put_content(const std::string& name, const char* file, const FileContent& content,
                             const StillWanted& wanted) = 0;
  Status put_file(const std::string& name, const char* file, Bytes content,
                  const StillWanted& wanted = {}) {
    return put_content(name, file, BytesContent(content), wanted);
  }

  // Removes what a run that was cut off left beside the sealed dump `dump` of the folder `name`,
  // and beside its small `files`.
  virtual void remove_leftovers(const std::string& /*name*/, const std::string& /*dump*/,
                                std::span<const char* const> /*files*/) {}

  // Gives the published dump `file` (FILE.incomplete) its final name: all but that was done.
  virtual Status seal_finished(const std::string& name, const std::string& file) = 0;

  // The dump folder `name`, for messages.
  [[nodiscard]] virtual std::string display(const std::string& name) const = 0;
  // Its path, if it is a folder that this machine sees: then dumps in it can be opened as files.
  [[nodiscard]] virtual std::optional<std::string> local_path(const std::string& /*name*/) const {
    return std::nullopt;
  }
};

}  // namespace dw
