#include "capture/target/raw/raw_superblock.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "capture/base/checked.h"
#include "capture/base/fd.h"
#include "capture/codec/running_digest.h"

namespace dw {

namespace {

constexpr char kSignature[8] = {'D', 'W', 'R', 'A', 'W', '\0', '\0', '\0'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kSumsCertain = 1;
constexpr uint32_t kTakenOff = 2;
constexpr uint32_t kKnownFlags = kSumsCertain | kTakenOff;

struct FileOnDisk {
  char name[kRawMaxFileName + 1];
  uint64_t offset;
  uint64_t capacity;
  uint64_t length;
  uint64_t digest;
};
static_assert(sizeof(FileOnDisk) == 64);

struct OnDisk {
  char signature[8];
  uint32_t version;
  uint32_t state;
  uint64_t generation;
  uint64_t device_bytes;
  uint64_t dump_offset;
  uint64_t dump_bytes;
  uint64_t sums_offset;
  uint64_t sums_room;
  uint64_t sums_bytes;
  uint32_t flags;
  uint32_t reserved;
  char name[kRawMaxName + 1];
  char file[kRawMaxFileName + 1];
  FileOnDisk files[kRawMaxFiles];
  uint8_t unused[24];
  uint64_t check;
};
static_assert(sizeof(OnDisk) == kRawSuperblockBytes && offsetof(OnDisk, name) == 80 &&
              offsetof(OnDisk, files) == 224 && offsetof(OnDisk, check) == 504);

template <size_t N>
void store_name(char (&field)[N], std::string_view name) {
  DW_CHECK(name.size() < N);
  std::memcpy(field, name.data(), name.size());
}

// Nothing if the field does not end.
template <size_t N>
std::optional<std::string> load_name(const char (&field)[N]) {
  size_t length = ::strnlen(field, N);
  if (length == N) return std::nullopt;
  return std::string(field, length);
}

// They become names of files again.
bool is_file_name(std::string_view name) {
  auto odd = [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  return !name.empty() && name != "." && name != ".." && std::ranges::none_of(name, odd);
}

uint64_t check_of(Bytes sector) { return digest64(sector.first(offsetof(OnDisk, check))); }

struct Area {
  uint64_t begin;
  uint64_t length;

  [[nodiscard]] bool lies_in(uint64_t from, uint64_t to) const {
    return begin >= from && begin <= to && length <= to - begin;
  }
};

bool files_fit(const RawSuperblock& superblock) {
  const auto& files = superblock.files;
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (file->name.empty()) continue;
    Area area{file->offset, file->capacity};
    if (!is_file_name(file->name) || file->offset % kRawBlock != 0 ||
        file->length > file->capacity || !area.lies_in(kRawFilesBegin, superblock.dump_offset))
      return false;
    for (auto other = files.begin(); other != file; ++other) {
      if (other->name.empty()) continue;
      bool apart = other->offset + other->capacity <= file->offset ||
                   file->offset + file->capacity <= other->offset;
      if (other->name == file->name || !apart) return false;
    }
  }
  return true;
}

bool areas_fit(const RawSuperblock& superblock) {
  if (superblock.dump_offset % kRawBlock != 0 || superblock.sums_offset % kRawBlock != 0 ||
      superblock.dump_offset < kRawFilesBegin || superblock.sums_bytes > superblock.sums_room)
    return false;
  Area dump{superblock.dump_offset, superblock.dump_bytes};
  Area sums{superblock.sums_offset, superblock.sums_room};
  return sums.lies_in(superblock.dump_offset, superblock.device_bytes) &&
         dump.lies_in(superblock.dump_offset, superblock.sums_offset) && files_fit(superblock);
}

bool makes_sense(const RawSuperblock& superblock) {
  bool has_dump = superblock.state != RawState::kStaged;
  return superblock.state >= RawState::kStaged && superblock.state <= RawState::kSealed &&
         is_file_name(superblock.name) &&
         (superblock.file.empty() ? !has_dump : is_file_name(superblock.file)) &&
         areas_fit(superblock);
}

std::optional<RawSuperblock> load_superblock(const OnDisk& disk) {
  RawSuperblock superblock{.state = static_cast<RawState>(disk.state),
                           .generation = disk.generation,
                           .device_bytes = disk.device_bytes,
                           .dump_offset = disk.dump_offset,
                           .dump_bytes = disk.dump_bytes,
                           .sums_offset = disk.sums_offset,
                           .sums_room = disk.sums_room,
                           .sums_bytes = disk.sums_bytes,
                           .sums_certain = (disk.flags & kSumsCertain) != 0,
                           .taken_off = (disk.flags & kTakenOff) != 0,
                           .name = {},
                           .file = {},
                           .files = {}};
  std::optional<std::string> name = load_name(disk.name);
  std::optional<std::string> file = load_name(disk.file);
  if (!name || !file || (disk.flags & ~kKnownFlags) != 0) return std::nullopt;
  superblock.name = std::move(*name);
  superblock.file = std::move(*file);
  for (size_t i = 0; i < kRawMaxFiles; ++i) {
    std::optional<std::string> small = load_name(disk.files[i].name);
    if (!small) return std::nullopt;
    if (small->empty()) continue;
    superblock.files[i] = {.name = std::move(*small),
                           .offset = disk.files[i].offset,
                           .capacity = disk.files[i].capacity,
                           .length = disk.files[i].length,
                           .digest = disk.files[i].digest};
  }
  return superblock;
}

}  // namespace

RawSuperblockSector encode(const RawSuperblock& superblock) {
  DW_CHECK(makes_sense(superblock));
  OnDisk disk{};
  std::memcpy(disk.signature, kSignature, sizeof(kSignature));
  disk.version = kVersion;
  disk.state = static_cast<uint32_t>(superblock.state);
  disk.generation = superblock.generation;
  disk.device_bytes = superblock.device_bytes;
  disk.dump_offset = superblock.dump_offset;
  disk.dump_bytes = superblock.dump_bytes;
  disk.sums_offset = superblock.sums_offset;
  disk.sums_room = superblock.sums_room;
  disk.sums_bytes = superblock.sums_bytes;
  disk.flags =
      (superblock.sums_certain ? kSumsCertain : 0) | (superblock.taken_off ? kTakenOff : 0);
  store_name(disk.name, superblock.name);
  store_name(disk.file, superblock.file);
  for (size_t i = 0; i < kRawMaxFiles; ++i) {
    const RawFile& file = superblock.files[i];
    store_name(disk.files[i].name, file.name);
    disk.files[i].offset = file.offset;
    disk.files[i].capacity = file.capacity;
    disk.files[i].length = file.length;
    disk.files[i].digest = file.digest;
  }
  disk.check = check_of(std::as_bytes(std::span(&disk, 1)));
  RawSuperblockSector sector;
  std::memcpy(sector.data(), &disk, sizeof(disk));
  return sector;
}

Result<std::optional<RawSuperblock>> decode_raw_superblock(Bytes sector) {
  std::optional<RawSuperblock> none;
  if (sector.size() < sizeof(OnDisk)) return none;
  OnDisk disk = load<OnDisk>(sector, 0);
  if (std::memcmp(disk.signature, kSignature, sizeof(kSignature)) != 0 ||
      disk.check != check_of(sector))
    return none;
  if (disk.version != kVersion)
    return Error(ErrorKind::kUnsupported, "holds a dump of another version of this program")
        .hint("take it off with the version that wrote it");
  std::optional<RawSuperblock> superblock = load_superblock(disk);
  return superblock && makes_sense(*superblock) ? superblock : none;
}

Result<std::optional<FoundSuperblock>> find_raw_superblock(int device) {
  std::optional<FoundSuperblock> best;
  for (unsigned copy = 0; copy < kRawSuperblockCopies; ++copy) {
    RawSuperblockSector sector;
    // A sector that cannot be read is one that is torn.
    if (!read_exact_at(device, sector, copy * kRawSuperblockStep).ok()) continue;
    DW_ASSIGN(std::optional<RawSuperblock> found, decode_raw_superblock(sector));
    if (found && (!best || found->generation > best->superblock.generation))
      best = FoundSuperblock{.superblock = std::move(*found), .copy = copy};
  }
  return best;
}

}  // namespace dw
