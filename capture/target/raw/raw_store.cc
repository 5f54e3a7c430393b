#include "capture/target/raw/raw_store.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/base/checked.h"
#include "capture/target/dump_names.h"
#include "capture/target/file_steps.h"
#include "capture/target/raw/raw_contents.h"
#include "capture/target/raw/raw_files.h"
#include "capture/target/raw/raw_target.h"

namespace dw {

namespace {

// What a 64th of a partition is: at most this, and at least that.
constexpr uint64_t kMostForFiles = 32 << 20;
constexpr uint64_t kLeastForFiles = 256 << 10;
// File systems and the like have their magic numbers in these bytes at either end.
constexpr uint64_t kForeignBytes = 128 << 10;

uint64_t dump_offset(uint64_t device_bytes) {
  uint64_t share = align_down(device_bytes / 64, kRawBlock);
  return kRawFilesBegin + std::clamp(share, kLeastForFiles, kMostForFiles);
}

Error not_there() { return Error::from_errno("is not on the partition", ENOENT); }

}  // namespace

Result<std::unique_ptr<RawStore>> RawStore::open(const std::string& path,
                                                 const RawOptions& options) {
  DW_ASSIGN(RawDevice device, RawDevice::open(path, options));
  return std::unique_ptr<RawStore>(new RawStore(std::move(device), options));
}

bool RawStore::holds(const std::string& name) const {
  return device_.superblock() && device_.superblock()->name == name;
}

Result<StandingDump> RawStore::look(const std::string& name) {
  StandingDump found;
  if (!holds(name) || device_.superblock()->state == RawState::kStaged) return found;
  bool sealed = device_.superblock()->state == RawState::kSealed;
  found.standing = sealed ? Standing::kSealed : Standing::kIncomplete;
  found.file = device_.superblock()->file + (sealed ? "" : std::string(kIncompleteSuffix));
  return found;
}

// Whether a dump may be written over what is there.
Status RawStore::check_free() const {
  const std::optional<RawSuperblock>& there = device_.superblock();
  bool whole = there && there->state == RawState::kSealed && !there->taken_off;
  if (!whole || options_.overwrite) return {};
  return Error::from_errno("holds a whole dump that was not taken off yet", EEXIST)
      .on(display(there->name))
      .hint("take it off with dumpwright convert, or add ?overwrite=yes");
}

Status RawStore::erase_foreign() {
  uint64_t bytes = device_.bytes();
  DW_TRY(device_.zero(0, kForeignBytes));
  return device_.zero(bytes - kForeignBytes, bytes);
}

// The device holds an empty dump folder from here on, and nothing of another dump is told of.
Status RawStore::begin(const std::string& name, const std::string& file) {
  if (name.size() > kRawMaxName) return Error(ErrorKind::kUsage, "the name is too long").on(name);
  bool goes_on = holds(name) && device_.superblock()->state == RawState::kStaged;
  RawSuperblock superblock{.state = RawState::kStaged,
                           .device_bytes = device_.bytes(),
                           .dump_offset = dump_offset(device_.bytes()),
                           .sums_offset = device_.bytes(),
                           .name = name,
                           .file = file,
                           .files = {}};
  if (goes_on && device_.superblock()->dump_offset == superblock.dump_offset)
    superblock.files = device_.superblock()->files;
  if (device_.holds_foreign() && !device_.superblock()) DW_TRY(erase_foreign());
  return device_.put_superblock(superblock, true);
}

Result<std::unique_ptr<Target>> RawStore::create(const std::string& name, const char* file) {
  Result<StandingDump> standing = look(name);
  if (standing.ok() && standing->standing != Standing::kNothing)
    return Error::from_errno("the dump exists", EEXIST).on(display(name));
  DW_TRY(check_free());
  Status begun = begin(name, file);
  if (!begun.ok()) return on_raw_device(begun.error(), display(name));
  return std::unique_ptr<Target>(std::make_unique<RawTarget>(device_));
}

std::string RawStore::overwritten() const {
  const std::optional<RawSuperblock>& there = device_.superblock();
  if (!there || there->state == RawState::kStaged || !check_free().ok()) return {};
  bool whole = there->state == RawState::kSealed;
  return display(there->name) + "/" + there->file + (whole ? "" : std::string(kIncompleteSuffix));
}

Result<std::unique_ptr<Target>> RawStore::reopen(const std::string& name, const char* file) {
  DW_ASSIGN(StandingDump standing, look(name));
  if (standing.standing != Standing::kIncomplete || device_.superblock()->file != file)
    return not_there().on(display(name) + "/" + file + std::string(kIncompleteSuffix));
  DW_TRY(device_.sync());
  Status forgotten = forget_cached(device_.fd());
  if (!forgotten.ok()) return Error(forgotten.error()).on(display(name));
  return std::unique_ptr<Target>(std::make_unique<RawTarget>(device_));
}

Result<std::unique_ptr<ByteSource>> RawStore::open_file(const std::string& name,
                                                        const std::string& file) {
  Result<ReadableFile> part = not_there();
  if (holds(name)) part = open_raw_file(device_.fd(), *device_.superblock(), file);
  if (!part.ok()) return Error(part.error()).on(display(name) + "/" + file);
  DW_ASSIGN(std::unique_ptr<FileSource> source, FileSource::open(std::move(*part)));
  return std::unique_ptr<ByteSource>(std::move(source));
}

Status RawStore::put_content(const std::string& name, const char* file, const FileContent& content,
                             const StillWanted& wanted) {
  DW_TRY(check_wanted(wanted));
  if (!holds(name)) {
    const std::optional<RawSuperblock>& there = device_.superblock();
    // Part of a dump is worth more than a file beside none.
    if (there && there->state != RawState::kStaged && !there->taken_off)
      return Error::from_errno("holds another dump", EEXIST).on(display(there->name));
    Status begun = begin(name, {});
    if (!begun.ok()) return on_raw_device(begun.error(), display(name));
  }
  Status put = RawFiles(device_).put(file, content);
  return put.ok() ? put : on_raw_device(put.error(), display(name) + "/" + file);
}

Status RawStore::seal_finished(const std::string& name, const std::string& file) {
  DW_ASSIGN(StandingDump standing, look(name));
  if (standing.standing != Standing::kIncomplete || standing.file != file)
    return not_there().on(display(name) + "/" + file);
  // What we read may stand in memory only.
  DW_TRY(device_.sync());
  RawSuperblock superblock = *device_.superblock();
  superblock.state = RawState::kSealed;
  return device_.put_superblock(superblock);
}

}  // namespace dw
