#include "capture/target/raw/raid_member.h"

#include "capture/base/fd.h"

namespace dw {

namespace {

constexpr uint32_t kMdMagic = 0xa92b4efc;
constexpr uint64_t kReserved090 = 64 * 1024;
constexpr size_t kBytesRead = 136;  // up to super_offset of version 1
constexpr size_t kSuperOffset = 128;

bool holds_superblock(int device, uint64_t offset, uint32_t major_version) {
  std::byte raw[kBytesRead];
  if (!read_exact_at(device, raw, offset).ok()) return false;
  Bytes super(raw);
  if (load<uint32_t>(super, 0) != kMdMagic || load<uint32_t>(super, 4) != major_version)
    return false;
  // Version 1 says where it stands, in sectors: what was copied from elsewhere is not believed.
  return major_version == 0 || load<uint64_t>(super, kSuperOffset) == offset / 512;
}

}  // namespace

bool is_raid_member(int device) {
  auto size = file_size(device);
  if (!size.ok()) return false;
  // 1.1 and 1.2.
  if (holds_superblock(device, 0, 1) || holds_superblock(device, 4096, 1)) return true;
  constexpr uint64_t kReserved10 = 8 * 1024;
  if (*size >= kReserved10 && holds_superblock(device, (*size - kReserved10) & ~uint64_t{4095}, 1))
    return true;
  uint64_t whole = *size & ~(kReserved090 - 1);
  return whole >= kReserved090 && holds_superblock(device, whole - kReserved090, 0);
}

Error raid_member_error(std::string_view path) {
  return Error(ErrorKind::kUnsupported, "is a member of a RAID and not written to alone")
      .on(path)
      .hint("use a target outside the RAID, or, if the RAID is gone, mdadm --zero-superblock");
}

}  // namespace dw
