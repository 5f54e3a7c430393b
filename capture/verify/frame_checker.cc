#include "capture/verify/frame_checker.h"

#include <algorithm>
#include <utility>

#include "capture/base/fd.h"
#include "capture/codec/running_digest.h"
#include "capture/format/frame_walker.h"
#include "capture/format/stream_format.h"
#include "capture/verify/list_summary.h"

namespace dw {

namespace {

// Of a frame's bytes, beyond those of its content (frame_walker.cc).
constexpr uint64_t kMostOverhead = 256 << 10;

Status make_room(Buffer& buffer, size_t size) {
  if (buffer.size() >= size) return {};
  buffer = Buffer();
  Result<Buffer> made = Buffer::allocate(size);
  if (!made.ok()) return Error(ErrorKind::kUnsupported, "there is no memory for so long a frame");
  buffer = std::move(*made);
  return {};
}

}  // namespace

Result<FrameChecker> FrameChecker::create(const FileView& file, Compression compression,
                                          uint64_t most_content) {
  DW_ASSIGN(FrameDecompressor decompressor, FrameDecompressor::create(compression));
  FrameChecker checker(file, std::move(decompressor));
  DW_ASSIGN(uint64_t size, file_size(file));
  uint64_t longest = kMaxFrameBytes + kMaxFrameBytes / 8;
  DW_ASSIGN(checker.stored_, Buffer::allocate(std::clamp<uint64_t>(size, 1, longest)));
  DW_ASSIGN(checker.content_,
            Buffer::allocate(std::clamp<uint64_t>(most_content, 1, kMaxFrameBytes)));
  return checker;
}

Result<FrameChecker::Found> FrameChecker::check(uint64_t offset, uint64_t length,
                                                uint64_t content) {
  if (content == 0 || content > kMaxFrameContent || length > content + kMostOverhead) {
    Result<uint64_t> digest = digest_of_range(file_, offset, length);
    if (!digest.ok()) return Found();
    return Found{.read = true, .digest = *digest, .right = content == 0, .content = {}};
  }
  DW_TRY(make_room(stored_, length));
  DW_TRY(make_room(content_, content));
  Found found;
  MutableBytes stored = stored_.bytes().first(length);
  found.read = read_exact_at(file_, stored, offset).ok();
  if (!found.read) return found;
  found.digest = digest64(stored);
  found.content = Bytes(content_.bytes()).first(content);
  found.right = decompressor_.decompress(stored, content_.bytes().first(content)).ok();
  return found;
}

}  // namespace dw
