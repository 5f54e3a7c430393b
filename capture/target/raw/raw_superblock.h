// The superblock of a partition that holds a dump without a file system.
//
// raw.md beside this file is the specification. Two copies; the valid one with the higher
// generation counts, so that a write that is torn leaves the one before it. Thread safety: plain
// values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

inline constexpr uint64_t kRawSuperblockBytes = 512;  // of one copy: a sector
inline constexpr uint64_t kRawSuperblockStep = 4096;  // from one copy to the next
inline constexpr unsigned kRawSuperblockCopies = 2;
inline constexpr uint64_t kRawFilesBegin = kRawSuperblockStep * kRawSuperblockCopies;
// Areas begin and end at multiples of this, but for the dump's end.
inline constexpr uint64_t kRawBlock = 4096;
inline constexpr size_t kRawMaxFiles = 4;
inline constexpr size_t kRawMaxName = 111;     // of the dump's folder, bytes
inline constexpr size_t kRawMaxFileName = 31;  // bytes

enum class RawState : uint32_t {
  kStaged = 1,      // no dump, perhaps small files
  kIncomplete = 2,  // published
  kSealed = 3,
};

// A small file beside the dump.
struct RawFile {
  std::string name;  // empty: none
  uint64_t offset = 0;
  uint64_t capacity = 0;  // bytes that are its own from `offset` on
  uint64_t length = 0;
  uint64_t digest = 0;  // XXH3-64

  friend bool operator==(const RawFile&, const RawFile&) = default;
};

// Offsets and lengths in bytes, offsets from the beginning of the device.
struct RawSuperblock {
  RawState state = RawState::kStaged;
  uint64_t generation = 0;
  uint64_t device_bytes = 0;
  uint64_t dump_offset = 0;
  uint64_t dump_bytes = 0;   // what is known to be there
  uint64_t sums_offset = 0;  // of the room for the list of checksums
  uint64_t sums_room = 0;
  uint64_t sums_bytes = 0;  // of the list, if that is certain; else it ends somewhere in its room
  bool sums_certain = false;
  bool taken_off = false;  // somebody copied the whole dump to elsewhere
  std::string name;        // of the dump's folder
  std::string file;        // what the dump is called there when it is whole
  std::array<RawFile, kRawMaxFiles> files;

  friend bool operator==(const RawSuperblock&, const RawSuperblock&) = default;
};

// How one copy stands on the device.
using RawSuperblockSector = std::array<std::byte, kRawSuperblockBytes>;

// `superblock` is as decode() would accept it.
[[nodiscard]] RawSuperblockSector encode(const RawSuperblock& superblock);

// Nothing if there is no superblock, or not all of it. Every length and offset of one that is
// returned fits the device that it speaks of, its areas do not overlap, and its names are names of
// files. kUnsupported: of another version.
Result<std::optional<RawSuperblock>> decode_raw_superblock(Bytes sector);

// The copy that counts on a device, and where it stands; nothing if there is none.
struct FoundSuperblock {
  RawSuperblock superblock;
  unsigned copy = 0;
};
// Error kUnsupported as above, others as read_exact_at().
Result<std::optional<FoundSuperblock>> find_raw_superblock(int device);

}  // namespace dw
