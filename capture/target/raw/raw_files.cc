#include "capture/target/raw/raw_files.h"

#include <algorithm>
#include <utility>

#include "capture/base/checked.h"
#include "capture/base/fd.h"
#include "capture/codec/running_digest.h"

namespace dw {

namespace {

constexpr uint64_t kForSmallFiles = 64 << 10;

Error no_room() { return {ErrorKind::kNoSpace, "has no room for another small file"}; }

}  // namespace

std::vector<RawFiles::Extent> RawFiles::used() const {
  std::vector<Extent> used;
  for (const RawFile& file : device_->superblock()->files)
    if (!file.name.empty()) used.push_back({file.offset, file.capacity});
  for (const Reserved& reserved : reserved_)
    used.insert(used.end(), std::begin(reserved.places), std::end(reserved.places));
  std::ranges::sort(used, {}, &Extent::begin);
  return used;
}

Result<RawFiles::Extent> RawFiles::find_free(uint64_t length) const {
  uint64_t begin = kRawFilesBegin;
  uint64_t end = device_->superblock()->dump_offset;
  uint64_t wanted = align_up(std::max<uint64_t>(std::min(length, end), 1), kRawBlock);
  for (const Extent& extent : used()) {
    if (extent.begin >= begin && wanted <= extent.begin - begin) return Extent{begin, wanted};
    begin = std::max(begin, align_up(extent.begin + extent.length, kRawBlock));
  }
  if (begin > end || wanted > end - begin) return no_room();
  return Extent{begin, wanted};
}

Status RawFiles::reserve(const std::string& name, size_t bytes) {
  if (name.size() > kRawMaxFileName || reserved_.size() >= kRawMaxFiles) return no_room();
  std::erase_if(reserved_, [&](const Reserved& other) { return other.name == name; });
  Reserved reserved{.name = name, .places = {}};
  DW_ASSIGN(reserved.places[0], find_free(bytes));
  reserved_.push_back(reserved);
  Result<Extent> second = find_free(bytes);
  if (!second.ok()) {
    reserved_.pop_back();
    return second.error();
  }
  reserved_.back().places[1] = *second;
  return {};
}

Result<RawFiles::Extent> RawFiles::place_for(const RawFile& now, const std::string& name,
                                             uint64_t length) const {
  for (const Reserved& reserved : reserved_) {
    if (reserved.name != name || length > reserved.places[0].length) continue;
    return reserved.places[reserved.places[0].begin == now.offset ? 1 : 0];
  }
  // A log must not take the report's place.
  if (length <= kForSmallFiles) return find_free(length);
  DW_ASSIGN(Extent place, find_free(length + kForSmallFiles));
  place.length = align_up(length, kRawBlock);
  return place;
}

Status RawFiles::put(const std::string& name, const FileContent& content) {
  RawSuperblock superblock = *device_->superblock();
  auto& files = superblock.files;
  auto file = std::ranges::find(files, name, &RawFile::name);
  if (file == files.end()) file = std::ranges::find(files, std::string(), &RawFile::name);
  if (file == files.end() || name.size() > kRawMaxFileName) return no_room();
  DW_ASSIGN(Extent place, place_for(*file, name, content.size()));
  uint64_t written = 0;
  RunningDigest digest;
  DW_TRY(content.copy_to([&](Bytes bytes) {
    digest.add(bytes);
    DW_CHECK(range_fits(written, bytes.size(), place.length));
    return write_all_at(device_->fd(), bytes,
                        place.begin + std::exchange(written, written + bytes.size()));
  }));
  DW_TRY(device_->sync());
  *file = {.name = name,
           .offset = place.begin,
           .capacity = place.length,
           .length = written,
           .digest = digest.value()};
  return device_->put_superblock(superblock);
}

}  // namespace dw
