// A target whose power may fail at any moment: after each call it can tell what a disk might hold.
//
// What was synced is there. Of what was written since then any subset of 512-byte sectors may be
// there, the rest shows what was there before. A rename counts when it returns, as a target's
// contract says. One call, by number, can be made to fail.
// Thread safety: as Target; on_change() is called under the lock and may only ask for images.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "capture/target/target.h"

namespace dw::test {

class CrashTarget : public Target {
 public:
  using Image = std::vector<std::byte>;
  enum class State : uint8_t { kStaged, kPublished, kSealed };

  static constexpr uint64_t kNever = ~uint64_t{0};

  // The call with number `fail_at` (from 0; reads do not count) fails with `errno_value`. A write
  // that fails may have written its first part. After a failed sync every later call fails; other
  // calls fail once.
  explicit CrashTarget(uint64_t fail_at = kNever, int errno_value = 0)
      : fail_at_(fail_at), errno_value_(errno_value) {}

  // The same after a power cut, published, to go on with what it left.
  CrashTarget(Image content, Image sums, uint64_t fail_at = kNever, int errno_value = 0)
      : content_(std::move(content)),
        durable_(content_),
        sums_(std::move(sums)),
        durable_sums_(sums_),
        state_(State::kPublished),
        fail_at_(fail_at),
        errno_value_(errno_value) {}

  // Called after each call that changed something.
  std::function<void()> on_change = [] {};

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override;
  Status preallocate_sums(uint64_t length) override;
  Status cut_sums(uint64_t size) override;
  Status put_file(const char* name, Bytes content) override;
  Status reserve_file(const char* name, size_t bytes) override;
  Status sync() override;
  Status publish() override;
  Status seal() override;
  [[nodiscard]] std::string path() const override { return "memory"; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Image& content() const { return content_; }
  [[nodiscard]] const std::map<std::string, Image>& files() const { return files_; }
  [[nodiscard]] uint64_t calls() const { return calls_; }
  // A power cut now leaves only what was synced.
  [[nodiscard]] const Image& durable() const { return durable_; }
  // The least that is left of the sums, and the most.
  [[nodiscard]] const Image& durable_sums() const { return durable_sums_; }
  [[nodiscard]] const Image& written_sums() const { return sums_; }
  // A power cut now leaves some of what was not synced, drawn from `seed`.
  [[nodiscard]] Image partly_durable(uint64_t seed) const;
  [[nodiscard]] Image partly_durable_sums(uint64_t seed) const;

 private:
  Status fail_if_due(const char* what);
  void put(uint64_t offset, Bytes bytes);

  std::mutex mutex_;
  Image content_;
  Image durable_;
  Image sums_;
  Image durable_sums_;
  std::map<std::string, Image> files_;
  State state_ = State::kStaged;
  uint64_t calls_ = 0;
  uint64_t fail_at_;
  int errno_value_;
  bool dead_ = false;
};

}  // namespace dw::test
