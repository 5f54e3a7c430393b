#include "capture/target/raw/device_content.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/target/raw/raid_member.h"

namespace dw {

namespace {

using namespace std::string_view_literals;

// Magic numbers, as util-linux's libblkid knows them (libblkid/src/superblocks, partitions). Of
// ZFS: the end of the pool's configuration in the first label (ZFS On-Disk Specification, 1.2;
// zio_eck_t in OpenZFS's include/sys/zio.h), in either byte order.
struct Magic {
  uint64_t offset;
  std::string_view bytes;
  const char* what;
};

constexpr uint64_t kSector = 512;
constexpr const char* kSwap = "holds a swap area";
constexpr const char* kLvm = "holds an LVM physical volume";
constexpr const char* kTable = "holds a partition table or a boot sector";
constexpr const char* kZfs = "is part of a ZFS pool";
constexpr uint64_t kZfsTail = (128 << 10) - 40;
constexpr const char* kGpt = "holds a partition table (GPT)";

constexpr Magic kMagics[] = {
    {1080, "\x53\xEF"sv, "holds an ext2, ext3 or ext4 file system"},
    {0, "XFSB"sv, "holds an xfs file system"},
    {0x10040, "_BHRfS_M"sv, "holds a btrfs file system"},
    {1024, "\x10\x20\xF5\xF2"sv, "holds an f2fs file system"},
    {0x10034, "ReIsEr"sv, "holds a reiserfs file system"},
    {0x8000, "JFS1"sv, "holds a jfs file system"},
    {0x8001, "CD001"sv, "holds an ISO 9660 file system"},
    {0, "hsqs"sv, "holds a squashfs file system"},
    {4096 - 10, "SWAPSPACE2"sv, kSwap},
    {4096 - 10, "SWAP-SPACE"sv, kSwap},
    {65536 - 10, "SWAPSPACE2"sv, kSwap},
    {0, "LABELONE"sv, kLvm},
    {kSector, "LABELONE"sv, kLvm},
    {2 * kSector, "LABELONE"sv, kLvm},
    {3 * kSector, "LABELONE"sv, kLvm},
    {0, "LUKS\xBA\xBE"sv, "holds an encrypted volume (LUKS)"},
    {4096 + 24, "\xC6\x85\x73\xF6\x4E\x1A\x45\xCA"sv, "is a member of a bcache"},
    {32, "ORCLDISK"sv, "is a disk of Oracle ASM"},
    {0, "bluestore block device"sv, "belongs to a Ceph OSD (BlueStore)"},
    {kZfsTail, "\x11\x7A\x0C\xB1\x7A\xDA\x10\x02"sv, kZfs},
    {kZfsTail, "\x02\x10\xDA\x7A\xB1\x0C\x7A\x11"sv, kZfs},
    {510, "\x55\xAA"sv, kTable},
    {kSector, "EFI PART"sv, kGpt},
    {4096, "EFI PART"sv, kGpt},
};

bool holds(int device, const Magic& magic) {
  std::array<std::byte, 32> bytes;
  MutableBytes there = MutableBytes(bytes).first(magic.bytes.size());
  return read_exact_at(device, there, magic.offset).ok() &&
         std::ranges::equal(there, std::as_bytes(std::span(magic.bytes)));
}

}  // namespace

const char* foreign_content(int device, bool own_first_sector) {
  for (const Magic& magic : kMagics) {
    if (own_first_sector && magic.offset < kSector) continue;
    if (holds(device, magic)) return magic.what;
  }
  return belongs_to_raid(device) ? "is a member of a RAID" : nullptr;
}

}  // namespace dw
