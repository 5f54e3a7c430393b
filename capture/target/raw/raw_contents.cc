#include "capture/target/raw/raw_contents.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "capture/codec/running_digest.h"
#include "capture/target/dump_names.h"
#include "capture/target/raw/raw_device.h"
#include "capture/target/sums_file.h"

namespace dw {

namespace {

std::string dump_name_of(const RawSuperblock& superblock) {
  if (superblock.state == RawState::kStaged) return {};
  if (superblock.state == RawState::kSealed) return superblock.file;
  return superblock.file + std::string(kIncompleteSuffix);
}

Result<ReadableFile> part_of(int device, uint64_t begin, uint64_t length) {
  return ReadableFile::duplicate(FileView(device, begin, length));
}

Status check_digest(int device, const RawFile& file) {
  std::array<std::byte, 16 << 10> piece;
  RunningDigest digest;
  for (uint64_t done = 0; done < file.length; done += piece.size()) {
    MutableBytes part = std::span(piece).first(std::min(piece.size(), file.length - done));
    DW_TRY(read_exact_at(device, part, file.offset + done));
    digest.add(part);
  }
  if (digest.value() == file.digest) return {};
  return Error(ErrorKind::kBadInput, "does not match its checksum");
}

}  // namespace

Result<ReadableFile> open_raw_file(int device, const RawSuperblock& superblock,
                                   const std::string& file) {
  if (!file.empty() && file == dump_name_of(superblock))
    return part_of(device, superblock.dump_offset, superblock.dump_bytes);
  uint64_t sums_bytes = superblock.sums_certain ? superblock.sums_bytes : superblock.sums_room;
  if (file == kSumsName && superblock.state != RawState::kStaged && sums_bytes > 0)
    return part_of(device, superblock.sums_offset, sums_bytes);
  auto small = std::ranges::find(superblock.files, file, &RawFile::name);
  if (file.empty() || small == superblock.files.end())
    return Error::from_errno("is not on the partition", ENOENT);
  DW_TRY(check_digest(device, *small));
  return part_of(device, small->offset, small->length);
}

Result<RawContents> RawContents::open(const std::string& path) {
  DW_ASSIGN(Fd fd, dw::open_file(path.c_str(), O_RDONLY | O_NONBLOCK));
  Result<std::optional<FoundSuperblock>> found = find_raw_superblock(fd.get());
  if (!found.ok()) return Error(found.error()).on(path);
  auto bad = [&](const char* what, const char* hint) {
    return Error(ErrorKind::kBadInput, what).on(path).hint(hint);
  };
  if (!*found)
    return bad("no dump of dumpwright is on this partition",
               "nothing was captured to it, or something else was written to it since");
  Result<uint64_t> size = file_size(fd.get());
  if (!size.ok()) return Error(size.error()).on(path);
  if ((*found)->superblock.device_bytes > *size)
    return bad("was larger when the dump was written", "copy all of the partition");
  return RawContents(path, std::move(fd), std::move((*found)->superblock));
}

std::string RawContents::dump_name() const { return dump_name_of(superblock_); }

Result<ReadableFile> RawContents::open_file(const std::string& file) const {
  Result<ReadableFile> part = open_raw_file(fd_.get(), superblock_, file);
  if (!part.ok()) return Error(part.error()).on(display() + "/" + file);
  return part;
}

Status RawContents::mark_taken_off() const {
  DW_ASSIGN(RawDevice device, RawDevice::open(path_, {.force = true}));
  if (device.superblock() != superblock_)
    return Error::from_errno("another dump was written meanwhile", EBUSY).on(path_);
  RawSuperblock superblock = superblock_;
  superblock.taken_off = true;
  return device.put_superblock(superblock);
}

}  // namespace dw
