#include "initrd-hooks/standalone/superblock.h"

#include <cstdio>

namespace dw {

namespace {

constexpr size_t kExtStart = 1024;
constexpr size_t kExtBytes = 1024;
constexpr uint16_t kExtMagic = 0xEF53;
constexpr uint32_t kExtJournalDevice = 0x8;  // EXT4_FEATURE_INCOMPAT_JOURNAL_DEV
constexpr uint32_t kExtMaxLogBlock = 6;      // 64 KiB
constexpr uint32_t kXfsMagic = 0x58465342;   // "XFSB"
constexpr size_t kXfsBytes = 512;

uint32_t load_big_endian(Bytes from, size_t offset) {
  return __builtin_bswap32(load<uint32_t>(from, offset));
}

std::string uuid_text(Bytes from, size_t offset) {
  std::string text;
  for (size_t i = 0; i < 16; i++) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", load<uint8_t>(from, offset + i));
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

std::string label_text(Bytes from, size_t offset, size_t size) {
  std::string text(size, '\0');
  std::memcpy(text.data(), from.subspan(offset, size).data(), size);
  text.resize(std::min(text.find('\0'), size));
  return text;
}

std::optional<FileSystem> probe_ext(Bytes head) {
  if (head.size() < kExtStart + kExtBytes) return std::nullopt;
  Bytes super = head.subspan(kExtStart, kExtBytes);
  if (load<uint16_t>(super, 56) != kExtMagic) return std::nullopt;
  if (load<uint32_t>(super, 0) == 0 || load<uint32_t>(super, 24) > kExtMaxLogBlock)
    return std::nullopt;
  // An external journal carries the magic number too, and nothing to mount.
  if ((load<uint32_t>(super, 96) & kExtJournalDevice) != 0) return std::nullopt;
  return FileSystem{FileSystem::Kind::kExt, uuid_text(super, 104), label_text(super, 120, 16)};
}

std::optional<FileSystem> probe_xfs(Bytes head) {
  if (head.size() < kXfsBytes || load_big_endian(head, 0) != kXfsMagic) return std::nullopt;
  uint32_t block_size = load_big_endian(head, 4);
  if (!std::has_single_bit(block_size) || block_size < 512 || block_size > 65536)
    return std::nullopt;
  return FileSystem{FileSystem::Kind::kXfs, uuid_text(head, 32), label_text(head, 108, 12)};
}

}  // namespace

std::optional<FileSystem> probe_superblock(Bytes head) {
  if (auto xfs = probe_xfs(head)) return xfs;
  return probe_ext(head);
}

}  // namespace dw
