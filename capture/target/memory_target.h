// Targets for tests: one in memory that knows what a power cut would leave, and one that fails when
// told to. Memory is not full: making room ahead does nothing.
//
// Thread safety: as Target; the memory target takes a lock for write_at().
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "capture/target/target.h"

namespace dw {

class MemoryTarget : public Target {
 public:
  enum class State : uint8_t { kStaged, kPublished, kSealed };

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override { return sums_.size(); }
  Status cut_sums(uint64_t size) override;
  Status put_file(const char* name, Bytes content) override;
  Status sync() override;
  Status publish() override;
  Status seal() override;
  [[nodiscard]] std::string path() const override { return "memory"; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::vector<std::byte>& content() const { return content_; }
  // What a power cut now would leave at the least: nothing that was not synced.
  [[nodiscard]] const std::vector<std::byte>& synced() const { return synced_; }
  [[nodiscard]] const std::vector<std::byte>& sums() const { return sums_; }
  [[nodiscard]] const std::vector<std::byte>& synced_sums() const { return synced_sums_; }
  [[nodiscard]] State synced_state() const { return synced_state_; }
  [[nodiscard]] const std::map<std::string, std::vector<std::byte>>& files() const {
    return files_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::byte> content_;
  std::vector<std::byte> synced_;
  std::vector<std::byte> sums_;
  std::vector<std::byte> synced_sums_;
  std::map<std::string, std::vector<std::byte>> files_;
  State state_ = State::kStaged;
  State synced_state_ = State::kStaged;
};

// Passes calls on, but the call with number `fail_at` (from 0; reads do not count) and every later
// one fails with `errno_value`.
class FaultTarget : public Target {
 public:
  FaultTarget(Target& inner, uint64_t fail_at, int errno_value)
      : inner_(&inner), fail_at_(fail_at), errno_value_(errno_value) {}

  [[nodiscard]] bool rewritable() const override { return inner_->rewritable(); }
  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override { return inner_->size(); }
  Status truncate(uint64_t length) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override { return inner_->sums_size(); }
  Status preallocate_sums(uint64_t length) override;
  Status cut_sums(uint64_t size) override;
  Status put_file(const char* name, Bytes content) override;
  Status reserve_file(const char* name, size_t bytes) override;
  Status sync() override;
  Status publish() override;
  Status seal() override;
  [[nodiscard]] std::string path() const override { return "memory"; }

  [[nodiscard]] uint64_t calls() const { return calls_; }

 private:
  Status count_call(const char* what);

  Target* inner_;
  uint64_t fail_at_;
  std::atomic<uint64_t> calls_ = 0;
  int errno_value_;
};

}  // namespace dw
