// A dump as a file on a mounted file system: DIR/NAME/vmcore.
//
// Staged as `vmcore.new`, published as `vmcore.incomplete`, sealed as `vmcore`; each step is a
// rename that is synced. What was staged but never published is removed again; what was published
// stays, whatever happens. Nothing that exists is overwritten.
// Thread safety: as Target.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "capture/base/fd.h"
#include "capture/target/target.h"

namespace dw {

inline constexpr const char* kStagedName = "vmcore.new";
inline constexpr const char* kIncompleteName = "vmcore.incomplete";
inline constexpr const char* kSealedName = "vmcore";

// What stands in a dump's directory already.
enum class Standing : uint8_t {
  kNothing,
  kIncomplete,
  kSealed,
  kOther,  // not a directory at all
};

class FileTarget : public Target {
 public:
  // Opens DIR (`directory`, made with its parents if missing). Errors name it: not a directory, not
  // writable, read-only.
  static Result<Fd> open_root(const std::string& directory);

  // What is in the dump directory `name` under `root`.
  static Result<Standing> look(int root, const std::string& name);

  // Gives a published dump its final name: power went when all but that was done.
  static Status seal_finished(int root, const std::string& name);

  // Makes the dump directory (mode 0700) and the staged file (0600) in it. `display` is the
  // directory's path for messages.
  static Result<FileTarget> create(int root, const std::string& name, const std::string& display);

  FileTarget(FileTarget&& other) noexcept;
  FileTarget& operator=(FileTarget&&) = delete;
  // Removes a staged file and, if it is then empty, its directory.
  ~FileTarget() override;

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Status put_file(const char* name, Bytes content) override;
  Status sync() override;
  Status publish() override;
  Status seal() override;

  // Path of the dump as it is called now.
  [[nodiscard]] std::string path() const { return display_ + "/" + current_name_; }

 private:
  FileTarget() = default;

  Status take_staged_file();
  Status rename_to(const char* name);
  Error failed(const Error& error);
  Status pace_writeback(uint64_t end);
  Status write_back(uint64_t offset, uint64_t length, unsigned flags);

  Fd root_;       // DIR
  Fd directory_;  // DIR/NAME
  Fd file_;
  std::string name_;
  std::string display_;
  const char* current_name_ = kStagedName;
  bool owned_ = false;  // false once moved from
  // Then nothing that was written is certain. Set by any thread that writes.
  std::atomic<bool> sync_failed_ = false;
  std::mutex writeback_mutex_;
  uint64_t writeback_started_ = 0;  // up to this offset
};

}  // namespace dw
