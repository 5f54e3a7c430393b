// The journal of a dump, `vmcore.sums`, as it stands on disk: which pieces of the dump's file are
// there, and the digest of each. When the dump is whole, it is the list of its checksums.
//
// journal.md beside this file is the specification. Thread safety: plain data and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/plan/plan.h"

namespace dw {

inline constexpr uint32_t kJournalVersion = 2;

struct JournalHeader {
  char signature[8] = {'D', 'W', 'S', 'U', 'M', 'S', '\0', '\0'};
  uint32_t version = kJournalVersion;
  uint32_t format = 0;       // DumpFormat
  uint32_t compression = 0;  // Compression
  int32_t level = 0;         // of it
  uint32_t dump_level = 0;
  uint32_t page_size = 0;  // bytes
  uint64_t identity = 0;   // of the crash
  uint64_t reserved[2] = {};
  uint64_t check = 0;  // journal_check()
};
static_assert(sizeof(JournalHeader) == 64 && offsetof(JournalHeader, identity) == 32 &&
              offsetof(JournalHeader, check) == 56);

enum class PieceKind : uint16_t {
  kHead = 1,        // of what stands before the pages
  kPages = 2,       // a batch of pages
  kMark = 3,        // which pages of the piece before are missing (stream)
  kPlan = 4,        // no piece: which pages are written, and in which order
  kTail = 5,        // what stands behind the pages (stream)
  kSealedHead = 6,  // the first piece, as sealing makes it
  kEnd = 7,         // no piece: all of the dump is there
};

struct JournalRecord {
  uint64_t offset = 0;        // in the dump's file, bytes
  uint32_t length = 0;        // there
  uint32_t content = 0;       // of a frame, decompressed; 0 for a skippable one, and for no frame
  PieceKind kind{};           //
  uint16_t chunks = 0;        // entries of the list behind the record
  uint16_t stored = 0;        // pages with bytes of their own
  uint16_t shared = 0;        // pages with the bytes of another one
  uint16_t zero = 0;          // pages
  uint16_t missing = 0;       // pages
  uint16_t changed = 0;       // chunks that pass 2 found changed
  uint16_t reserved = 0;      //
  uint64_t digest = 0;        // XXH3-64 of the bytes in the dump's file
  uint64_t table_digest = 0;  // XXH3-64 of the pages' descriptors, where they stand apart
  uint64_t check = 0;         // journal_check()
};
static_assert(sizeof(JournalRecord) == 56 && offsetof(JournalRecord, kind) == 16 &&
              offsetof(JournalRecord, digest) == 32 && offsetof(JournalRecord, check) == 48);

// A piece has at most this many bytes.
inline constexpr uint32_t kMaxPieceBytes = 16 << 20;
// And a record as many chunks as a batch.
inline constexpr size_t kMaxRecordChunks = kChunkPages;

// Of the list of chunks behind a record, in bytes: a u32 for each, and zeros up to a multiple of 8.
[[nodiscard]] constexpr size_t chunk_list_bytes(size_t chunks) { return (chunks + 1) / 2 * 8; }
[[nodiscard]] constexpr size_t record_bytes(size_t chunks) {
  return sizeof(JournalRecord) + chunk_list_bytes(chunks);
}

[[nodiscard]] uint64_t journal_check(const JournalHeader& header);
// `header_check`: of the header of the same list; `position`: of the record in the list, in bytes;
// `chunk_list`: what stands behind the record.
[[nodiscard]] uint64_t journal_check(const JournalRecord& record, Bytes chunk_list,
                                     uint64_t header_check, uint64_t position);

}  // namespace dw
