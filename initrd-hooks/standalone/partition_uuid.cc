#include "initrd-hooks/standalone/partition_uuid.h"

#include <array>
#include <cstdio>

#include "capture/base/checked.h"
#include "capture/base/fd.h"

namespace dw {

namespace {

constexpr char kGptSignature[] = "EFI PART";
constexpr uint64_t kMaxBlockSize = 64 * 1024;
constexpr uint32_t kMinEntryBytes = 128;
constexpr uint32_t kMaxEntryBytes = 4096;
constexpr uint32_t kMaxMbrPartitions = 255;

// Where the four entries of an MBR are, the type in each, and that of a disk with a GPT.
constexpr size_t kMbrEntries = 446;
constexpr size_t kMbrEntryBytes = 16;
constexpr size_t kMbrTypeOffset = 4;
constexpr uint8_t kProtectiveType = 0xEE;

using Sector = std::array<std::byte, 512>;

// The first three fields of a GUID are little-endian numbers (UEFI specification, appendix A).
std::string guid_text(Bytes guid) {
  char text[40];
  std::snprintf(text, sizeof(text), "%08x-%04x-%04x-", load<uint32_t>(guid, 0),
                load<uint16_t>(guid, 4), load<uint16_t>(guid, 6));
  std::string result(text);
  for (size_t i = 8; i < 16; i++) {
    if (i == 10) result += '-';
    std::snprintf(text, sizeof(text), "%02x", load<uint8_t>(guid, i));
    result += text;
  }
  return result;
}

bool all_zero(Bytes bytes) {
  for (std::byte b : bytes)
    if (b != std::byte{0}) return false;
  return true;
}

// UEFI specification, table "GPT Header": entries at 72, their number at 80, their size at 84.
Result<std::optional<std::string>> gpt_uuid(int disk, Bytes header, uint64_t block_size,
                                            uint32_t number) {
  uint32_t entry_size = load<uint32_t>(header, 84);
  if (number > load<uint32_t>(header, 80) || entry_size < kMinEntryBytes ||
      entry_size > kMaxEntryBytes)
    return std::optional<std::string>();
  auto start = checked_mul(load<uint64_t>(header, 72), block_size);
  auto offset = start ? checked_add(*start, uint64_t{number - 1} * entry_size) : std::nullopt;
  if (!offset || *offset > INT64_MAX - kMaxEntryBytes) return std::optional<std::string>();
  std::array<std::byte, 32> entry;
  DW_TRY(read_exact_at(disk, entry, *offset));
  Bytes guid = Bytes(entry).subspan(16);
  if (all_zero(guid)) return std::optional<std::string>();
  return std::optional<std::string>(guid_text(guid));
}

bool is_mbr(Bytes sector) { return load<uint16_t>(sector, 510) == 0xAA55; }

// As in the kernel (block/partitions/efi.c): a GPT counts only where the MBR says so. A disk that
// was partitioned anew by an old tool may have both.
bool is_protective(Bytes sector) {
  for (size_t at = kMbrEntries; at < kMbrEntries + 4 * kMbrEntryBytes; at += kMbrEntryBytes)
    if (load<uint8_t>(sector, at + kMbrTypeOffset) == kProtectiveType) return is_mbr(sector);
  return false;
}

std::optional<std::string> mbr_uuid(Bytes sector, uint32_t number) {
  uint32_t signature = load<uint32_t>(sector, 440);
  if (!is_mbr(sector) || signature == 0 || number > kMaxMbrPartitions) return std::nullopt;
  char text[16];
  std::snprintf(text, sizeof(text), "%08x-%02x", signature, number);
  return text;
}

}  // namespace

Result<std::optional<std::string>> partition_uuid(int disk, uint64_t block_size, uint32_t number) {
  if (number == 0 || block_size < sizeof(Sector) || block_size > kMaxBlockSize)
    return std::optional<std::string>();
  Sector sector;
  DW_TRY(read_exact_at(disk, sector, 0));
  if (!is_protective(sector)) return mbr_uuid(sector, number);
  DW_TRY(read_exact_at(disk, sector, block_size));
  if (std::memcmp(sector.data(), kGptSignature, sizeof(kGptSignature) - 1) != 0)
    return std::optional<std::string>();
  return gpt_uuid(disk, sector, block_size, number);
}

}  // namespace dw
