// A pipe, or a file that is written like one: standard output. What is written is gone; nothing can
// be read back, put beside it or renamed.
//
// Thread safety: one thread. Errors of writing are returned, so SIGPIPE must be ignored.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/fd.h"
#include "capture/target/target.h"

namespace dw {

class PipeTarget : public Target {
 public:
  // Error kUsage for a terminal: a dump would only make it unreadable.
  static Result<PipeTarget> open_stdout();

  // Takes bytes from where `fd` stands.
  explicit PipeTarget(Fd fd);
  PipeTarget(PipeTarget&& other) noexcept;
  PipeTarget& operator=(PipeTarget&&) = delete;
  ~PipeTarget() override = default;

  [[nodiscard]] bool rewritable() const override { return false; }
  Status preallocate(uint64_t, uint64_t) override { return {}; }
  // `offset` counts from the first byte that this object wrote. After an error, which may have let
  // a part through, every later call fails with it.
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override { return written_; }
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Status put_file(const char*, Bytes) override { return {}; }
  // Standard output may be a file: then it is synced. An error is as final as one of write_at().
  Status sync() override;
  Status publish() override { return {}; }
  Status seal() override { return {}; }
  [[nodiscard]] std::string path() const override { return "standard output"; }

 private:
  Status write_all(Bytes bytes);
  // Waits until a descriptor that does not block by itself can be written to.
  Status wait();

  Fd fd_;
  bool is_file_ = false;
  uint64_t written_ = 0;
  std::optional<Error> failed_;
};

}  // namespace dw
