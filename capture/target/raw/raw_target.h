// A dump on a bare partition.
//
// The superblock says how much of the dump is there: bytes of it are told of only when they are
// durable, and those that nobody wrote were made zeros. So what stood on the partition before never
// shows, whenever power goes. Thread safety: as Target. The device must outlive it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "capture/target/direct_appender.h"
#include "capture/target/paced_writeback.h"
#include "capture/target/raw/raw_device.h"
#include "capture/target/raw/raw_files.h"
#include "capture/target/raw/raw_sums.h"
#include "capture/target/target.h"

namespace dw {

class RawTarget : public Target {
 public:
  // For the dump that the device's superblock speaks of: staged or incomplete.
  explicit RawTarget(RawDevice& device);
  // Says where the dump and its list end, if it can.
  ~RawTarget() override;

  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Status append(uint64_t offset, Bytes bytes) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> sums_size() override { return sums_.size(); }
  Status preallocate_sums(uint64_t length) override;
  Status cut_sums(uint64_t size) override;
  Status put_file(const char* name, Bytes content) override;
  Status reserve_file(const char* name, size_t bytes) override;
  [[nodiscard]] std::optional<uint64_t> free_bytes() override;
  Status sync() override;
  Status publish() override;
  Status seal() override;

  [[nodiscard]] std::string path() const override;

 private:
  // Of the device, for an offset in the dump.
  [[nodiscard]] uint64_t place(uint64_t offset) const { return begin_ + offset; }
  Status check_room(uint64_t offset, uint64_t length);
  Status take_room(uint64_t offset, uint64_t length);
  Status lengthen(uint64_t end);
  Status put_state(RawState state, bool certain);
  Error failed(const Error& error) const { return on_raw_device(error, path()); }
  Error failed_for_good(const Error& error);
  Status done(const Status& status) const;

  RawDevice* device_;
  uint64_t begin_;  // of the dump, on the device
  RawSums sums_;
  RawFiles files_;
  std::optional<DirectAppender> direct_;
  PacedWriteback writeback_;
  std::mutex mutex_;
  uint64_t end_;          // of the dump's file; under mutex_
  uint64_t durable_end_;  // at the last sync
};

}  // namespace dw
