// A dump as one file of any name: what `convert` writes. Nothing is seen under the name until
// commit(); a file that stands there is never replaced.
//
// Written as NAME.new, with mode 0600, and removed again if it is never committed. Checksums go to
// a file without a name, since only the dump stays; nothing is put beside it. Thread safety: as
// Target.
#pragma once

#include <string>

#include "capture/base/fd.h"
#include "capture/target/target.h"

namespace dw {

class OutputFile : public Target {
 public:
  // Error kIo, with what to do, if `path` or NAME.new exists. `rewritable` as Target::rewritable().
  static Result<OutputFile> create(const std::string& path, bool rewritable);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() override;

  [[nodiscard]] bool rewritable() const override { return rewritable_; }
  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override { return sums_size_; }
  Status cut_sums(uint64_t size) override;
  Status put_file(const char*, Bytes) override { return {}; }
  Status sync() override;
  Status publish() override { return {}; }
  Status seal() override { return {}; }
  [[nodiscard]] std::string path() const override { return path_; }

  // Syncs the file, gives it its name, and makes that durable.
  Status commit();

 private:
  OutputFile(std::string path, bool rewritable) : path_(std::move(path)), rewritable_(rewritable) {}

  [[nodiscard]] std::string staged_path() const { return path_ + ".new"; }
  [[nodiscard]] std::string folder() const;
  Error failed(const Error& error) const;

  std::string path_;
  bool rewritable_;
  Fd file_;
  Fd sums_;
  uint64_t sums_size_ = 0;
  bool staged_ = false;  // NAME.new is ours
};

// A file in `folder` that has no name and goes away with its descriptor.
Result<Fd> open_nameless_file(const std::string& folder);

}  // namespace dw
