#include "capture/format/flattened_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "capture/format/flattened_format.h"

namespace dw {

namespace {

// 32 MiB of them. makedumpfile's files have one for some MiB of dump.
constexpr size_t kMaxRuns = 1 << 20;
constexpr uint64_t kRecordHeaderBytes = sizeof(FlattenedRecord);
constexpr uint64_t kNowhere = std::numeric_limits<uint64_t>::max();

Error too_many() {
  return Error(ErrorKind::kUnsupported, "a flattened file in too many pieces")
      .hint("bring it in order first: makedumpfile -R NEW < FILE");
}

}  // namespace

FlattenedIndex::Piece FlattenedIndex::Run::from(uint64_t offset) const {
  uint64_t record = (offset - content_offset) / record_bytes;
  uint64_t inside = (offset - content_offset) % record_bytes;
  return {.content_offset = offset,
          .file_offset = file_offset + record * (record_bytes + kRecordHeaderBytes) + inside,
          .bytes = record_bytes - inside};
}

Status FlattenedIndex::add(const Piece& record) {
  end_ = std::max(end_, record.content_offset + record.bytes);
  if (!runs_.empty()) {
    Run& last = runs_.back();
    uint64_t next = last.file_offset + last.records * (last.record_bytes + kRecordHeaderBytes);
    if (last.end() == record.content_offset && last.record_bytes == record.bytes &&
        next == record.file_offset) {
      ++last.records;
      return {};
    }
  }
  if (runs_.size() == kMaxRuns) return too_many();
  runs_.push_back({.content_offset = record.content_offset,
                   .file_offset = record.file_offset,
                   .record_bytes = record.bytes,
                   .records = 1});
  return {};
}

Status FlattenedIndex::add_part(std::vector<Run>& runs, const Run& run, uint64_t begin,
                                uint64_t end) {
  while (begin < end) {
    Piece piece = run.from(begin);
    uint64_t records = (end - begin) / run.record_bytes;
    bool whole = piece.bytes == run.record_bytes && records > 0;
    uint64_t bytes = whole ? run.record_bytes : std::min(piece.bytes, end - begin);
    if (!whole) records = 1;
    if (runs.size() == kMaxRuns) return too_many();
    runs.push_back({.content_offset = begin,
                    .file_offset = piece.file_offset,
                    .record_bytes = bytes,
                    .records = records});
    begin += bytes * records;
  }
  return {};
}

Status FlattenedIndex::resolve() {
  std::vector<Run> runs = std::exchange(runs_, {});
  std::ranges::stable_sort(runs, {}, &Run::content_offset);
  // Runs that have begun; the one that stands last in the file is on top.
  std::vector<Run> begun;
  auto later = [](const Run& a, const Run& b) { return a.file_offset < b.file_offset; };
  auto push = [&](const Run& run) {
    begun.push_back(run);
    std::ranges::push_heap(begun, later);
  };
  uint64_t at = 0;
  for (size_t next = 0; next < runs.size() || !begun.empty();) {
    if (begun.empty()) at = std::max(at, runs[next].content_offset);
    while (next < runs.size() && runs[next].content_offset <= at) push(runs[next++]);
    if (begun.front().end() <= at) {
      std::ranges::pop_heap(begun, later);
      begun.pop_back();
      continue;
    }
    const Run top = begun.front();
    // Those that begin under it and stand before it in the file change nothing here.
    while (next < runs.size() && runs[next].content_offset < top.end() &&
           runs[next].file_offset < top.file_offset)
      push(runs[next++]);
    uint64_t end = top.end();
    if (next < runs.size()) end = std::min(end, runs[next].content_offset);
    DW_TRY(add_part(runs_, top, at, end));
    at = end;
  }
  return {};
}

std::optional<FlattenedIndex::Piece> FlattenedIndex::find(uint64_t offset) const {
  auto after = std::ranges::upper_bound(runs_, offset, {}, &Run::content_offset);
  if (after == runs_.begin()) return std::nullopt;
  const Run& run = *std::prev(after);
  if (offset >= run.end()) return std::nullopt;
  return run.from(offset);
}

uint64_t FlattenedIndex::next_begin(uint64_t offset) const {
  auto after = std::ranges::upper_bound(runs_, offset, {}, &Run::content_offset);
  return after == runs_.end() ? kNowhere : after->content_offset;
}

}  // namespace dw
