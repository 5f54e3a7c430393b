// Writes makedumpfile's flattened format: a kdump file in pieces that say where they belong, so
// that it can go through a pipe. flattened.md beside this file is the specification. Thread safety:
// as DumpWriter.
#pragma once

#include <cstdint>
#include <memory>

#include "capture/format/dump_writer.h"
#include "capture/format/kdump_headers.h"
#include "capture/format/kdump_writer.h"
#include "capture/target/target.h"

namespace dw {

// The file that is flattened: what is written to it goes on as records.
class FlattenedTarget : public Target {
 public:
  explicit FlattenedTarget(Target& target) : target_(&target) {}

  [[nodiscard]] bool rewritable() const override { return false; }
  Status preallocate(uint64_t, uint64_t) override { return {}; }
  // At any offset, but no byte twice: readers do not agree on which of two holds.
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override {
    return target_->read_at(offset, into);
  }
  Status append_sums(Bytes bytes) override { return target_->append_sums(bytes); }
  Status read_sums(uint64_t offset, MutableBytes into) override {
    return target_->read_sums(offset, into);
  }
  Status put_file(const char* name, Bytes content) override {
    return target_->put_file(name, content);
  }
  Status sync() override { return target_->sync(); }
  Status publish() override { return target_->publish(); }
  Status seal() override { return {}; }
  [[nodiscard]] std::string path() const override { return target_->path(); }

  Status write_start();
  Status write_end();
  [[nodiscard]] uint64_t bytes_written() const { return written_; }

 private:
  Status write_record(uint64_t offset, uint64_t size);
  Status emit(Bytes bytes);

  Target* target_;
  uint64_t written_ = 0;
};

class FlattenedWriter : public DumpWriter {
 public:
  static Result<std::unique_ptr<FlattenedWriter>> create(Target& target,
                                                         const KdumpDescription& description,
                                                         uint64_t page_size);

  Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) override;
  [[nodiscard]] bool wants_windows_in_order() const override { return true; }
  [[nodiscard]] bool keeps_bitmap() const override { return false; }
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override {
    return kdump_->read_kept(first_pfn, bits);
  }
  Status begin(const Plan& plan) override;
  Status publish() override { return kdump_->publish(); }
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override {
    return kdump_->append(batch, output);
  }
  Status checkpoint() override { return kdump_->checkpoint(); }
  // Without the end nothing of it can be opened, so it is written for an incomplete dump too.
  Status finish(bool complete) override;
  [[nodiscard]] bool readable_when_cut() const override { return false; }

  [[nodiscard]] static size_t memory_bytes(uint64_t page_size) {
    return KdumpWriter::memory_bytes(page_size);
  }

  [[nodiscard]] uint64_t bytes_written() const override { return flattened_.bytes_written(); }

 private:
  explicit FlattenedWriter(Target& target) : target_(&target), flattened_(target) {}

  Status start();

  Target* target_;
  FlattenedTarget flattened_;
  std::unique_ptr<KdumpWriter> kdump_;
};

}  // namespace dw
