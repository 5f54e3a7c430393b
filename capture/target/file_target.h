// A dump as a file on a mounted file system: DIR/NAME/vmcore, or vmcore.zst and so on by its
// format.
//
// Staged as `vmcore.new`, published as `vmcore.incomplete`, sealed as `vmcore`; each step is a
// rename that is synced. What was staged but never published is removed again; what was published
// stays, whatever happens. Nothing that exists is overwritten.
// Thread safety: as Target.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/fd.h"
#include "capture/target/direct_appender.h"
#include "capture/target/dump_names.h"
#include "capture/target/dump_store.h"
#include "capture/target/paced_writeback.h"
#include "capture/target/reserved_file.h"
#include "capture/target/sums_file.h"
#include "capture/target/target.h"

namespace dw {

class FileTarget : public Target {
 public:
  // Opens DIR (`directory`, made with its parents if missing). Errors name it: not a directory, not
  // writable, read-only.
  static Result<Fd> open_root(const std::string& directory);

  // What is in the dump directory `name` under `root`.
  static Result<StandingDump> look(int root, const std::string& name);

  // Gives the published dump `file` (NAME.incomplete) its final name: power went when all but that
  // was done.
  static Status seal_finished(int root, const std::string& name, const std::string& file);

  // Makes the dump directory (mode 0700) and the staged file (0600) in it. `display` is the
  // directory's path for messages, `file` what the dump will be called: one of kDumpNames.
  static Result<FileTarget> create(int root, const std::string& name, const std::string& display,
                                   const char* file = kSealedName);

  // Opens the published dump NAME/FILE.incomplete to go on with it: what was read back and
  // rewritten, appended to or cut is the same file, and so are its sums. Arguments as of create().
  // Errors, with a hint: another capture has it open, or sealed it in this moment.
  static Result<FileTarget> reopen(int root, const std::string& name, const std::string& display,
                                   const char* file);

  // What create() or reopen() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return DirectAppender::memory_bytes(); }

  FileTarget(FileTarget&& other) noexcept;
  FileTarget& operator=(FileTarget&&) = delete;
  // Removes a staged file and, if it is then empty, its directory.
  ~FileTarget() override;

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Status append(uint64_t offset, Bytes bytes) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
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

  [[nodiscard]] std::string path() const override { return display_ + "/" + current_name_; }

 private:
  FileTarget() = default;
  // Opens the two directories, which exist.
  static Result<FileTarget> open_directory(int root, const std::string& name,
                                           const std::string& display, const char* file_name);

  Status open_dump(int flags);
  Status take_staged_file();
  Status sync_and_forget();
  Status check_still_named() const;
  // Where the file system cannot preallocate.
  Status write_zeros(uint64_t offset, uint64_t length);
  Result<SumsFile*> sums_file();
  Status sync_sums();
  Status rename_to(const std::string& name);
  Error failed(const Error& error);
  // An error after which nothing that was written is certain.
  Error failed_for_good(const Error& error);
  // Gives back room behind the dump's end that was made and not used.
  void trim();
  Status sums_done(const Status& status) const;
  Error put_failed(const char* name, const Error& error) const;
  Status pace_writeback(uint64_t offset, uint64_t length);

  Fd root_;       // DIR
  Fd directory_;  // DIR/NAME
  Fd file_;
  std::optional<DirectAppender> direct_;  // writes to file_ too
  std::optional<SumsFile> sums_;          // of a new dump: from the first call for it on
  std::vector<ReservedFile> reserved_;    // a handful
  std::string name_;
  std::string display_;
  const char* file_name_ = kSealedName;
  std::string current_name_ = kStagedName;
  bool owned_ = false;  // false once moved from
  // Then nothing that was written is certain. Set by any thread that writes.
  std::atomic<bool> sync_failed_ = false;
  PacedWriteback writeback_;
};

}  // namespace dw
