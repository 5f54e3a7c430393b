// The checksum list beside a dump, `vmcore.sums`: which pieces of the dump's file are on the disk,
// and the digest of each. sums.md beside this file is the specification.
//
// Thread safety: one thread. Asks for no memory after it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/format/dump_format.h"
#include "capture/format/kdump_headers.h"
#include "capture/target/target.h"

namespace dw {

inline constexpr uint32_t kSumsVersion = 1;

struct SumsHeader {
  char signature[8] = {'D', 'W', 'S', 'U', 'M', 'S', '\0', '\0'};
  uint32_t version = kSumsVersion;
  uint32_t format = 0;       // DumpFormat
  uint32_t compression = 0;  // Compression
  int32_t level = 0;         // of it
  uint32_t dump_level = 0;
  uint32_t page_size = 0;  // bytes
  uint64_t identity = 0;   // of the crash: crash_identity()
  uint64_t reserved[2] = {};
  uint64_t check = 0;  // sums_check()
};
static_assert(sizeof(SumsHeader) == 64 && offsetof(SumsHeader, identity) == 32 &&
              offsetof(SumsHeader, check) == 56);

// A piece of the dump's file: a frame of a stream.
struct SumRecord {
  uint64_t offset = 0;   // in the dump's file, bytes
  uint32_t length = 0;   // there
  uint32_t content = 0;  // of the frame, decompressed; 0 for a skippable frame
  uint64_t digest = 0;   // XXH3-64 of the bytes that stand in the dump's file
  uint64_t check = 0;    // sums_check()
};
static_assert(sizeof(SumRecord) == 32);

[[nodiscard]] uint64_t sums_check(const SumsHeader& header);
// `header_check`: of the header of the same list.
[[nodiscard]] uint64_t sums_check(const SumRecord& record, uint64_t header_check);

[[nodiscard]] SumsHeader make_sums_header(const KdumpDescription& description, DumpFormat format,
                                          CompressionOptions compression, uint64_t page_size);

class SumsWriter {
 public:
  SumsWriter(Target& target, const SumsHeader& header);

  // No add() before the next flush().
  [[nodiscard]] bool full() const { return pending_.size() == kMaxPending; }
  void add(SumRecord record);
  // Writes what was added. To be called when the pieces of the dump are synced; the list itself is
  // durable after the sync that follows.
  Status flush();

  // Records that were flushed.
  [[nodiscard]] uint64_t count() const { return flushed_; }
  // Reads back records from `first` on. Error kIo if they are not what was written.
  Status read(uint64_t first, std::span<SumRecord> into);

  // What the constructor allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return kMaxPending * sizeof(SumRecord); }

 private:
  static constexpr size_t kMaxPending = 4096;

  Target* target_;
  SumsHeader header_;
  std::vector<SumRecord> pending_;
  uint64_t flushed_ = 0;
  bool started_ = false;
};

}  // namespace dw
