// makedumpfile's flattened format: a file as a sequence of records that each say where their bytes
// belong, so that it can be written to a pipe. Numbers are big-endian.
//
// Source: makedumpfile's makedumpfile.h and IMPLEMENTATION, and files that it wrote.
// Thread safety: plain data and pure functions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace dw {

inline constexpr char kFlattenedSignature[16] = {'m', 'a', 'k', 'e', 'd', 'u', 'm', 'p',
                                                 'f', 'i', 'l', 'e', 0,   0,   0,   0};
// The signature, type and version stand at its start; the rest is zero.
inline constexpr size_t kFlattenedHeaderBytes = 4096;

[[nodiscard]] constexpr int64_t big_endian(int64_t value) {
  return static_cast<int64_t>(__builtin_bswap64(static_cast<uint64_t>(value)));
}

struct FlattenedHeader {
  char signature[16];
  int64_t type;     // big_endian(1)
  int64_t version;  // big_endian(1)
};
static_assert(sizeof(FlattenedHeader) == 32);

// Before each record's bytes. At the end both are -1.
struct FlattenedRecord {
  int64_t offset;  // in the file that is meant
  int64_t size;
};
static_assert(sizeof(FlattenedRecord) == 16);

}  // namespace dw
