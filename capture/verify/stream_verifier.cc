#include "capture/verify/stream_verifier.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "capture/base/fd.h"
#include "capture/base/file_window.h"
#include "capture/codec/running_digest.h"
#include "capture/format/dump_format.h"
#include "capture/format/dump_source.h"
#include "capture/format/stream_file.h"
#include "capture/pipeline/missing_page.h"
#include "capture/verify/chunk_set.h"
#include "capture/verify/table_walk.h"
#include "capture/verify/workers.h"

namespace dw {

namespace {

constexpr const char* kMismatch = "does not match its checksum";
// A slot of the smallest page; larger ones hold as many of them.
constexpr size_t kSlotBytes = 4096;

}  // namespace

bool StreamVerifier::matches(const JournalRecord& record) const {
  Result<uint64_t> digest = digest_of_range(file_, record.offset, record.length);
  return digest.ok() && *digest == record.digest;
}

bool StreamVerifier::owns(const ListSummary& list) const {
  return list.header.format == static_cast<uint32_t>(DumpFormat::kStream) &&
         is_list_of(file_, list);
}

Status StreamVerifier::check_by_list(const FileView& list_file, const ListSummary& list) {
  list_ = list;
  check_first_frame();
  DW_ASSIGN(uint64_t size, file_size(file_));
  findings_->check_size(size, list);
  DW_ASSIGN(ListCursor cursor, ListCursor::open(list_file));
  DW_TRY(check_all([&](Piece& piece) { return take_listed(cursor, piece); },
                   [this](const Piece& piece, const FrameChecker::Found& found) {
                     judge_listed(piece, found);
                   }));
  vouched_bytes_ = list.data_end;
  return {};
}

Status StreamVerifier::check_all(const Take& take, const Judge& judge) {
  uint64_t most_content = list_ && list_->file_bytes ? list_->most_content : kMaxFrameBytes;
  return run_on_threads(options_.threads, [&]() -> Status {
    DW_ASSIGN(FrameChecker checker,
              FrameChecker::create(file_, options_.compression, most_content));
    Piece piece;
    piece.chunks.reserve(kMaxRecordChunks);
    for (;;) {
      DW_ASSIGN(bool more, take(piece));
      if (!more) return {};
      const JournalRecord& record = piece.record;
      DW_ASSIGN(FrameChecker::Found found,
                checker.check(record.offset, record.length, record.content));
      judge(piece, found);
    }
  });
}

// Which of the two it has to be depends on how far sealing came.
void StreamVerifier::check_first_frame() {
  const ListSummary& list = *list_;
  bool first = list.first_head && matches(*list.first_head);
  bool sealed = list.sealed_head && matches(*list.sealed_head);
  uint64_t length = list.first_head ? list.first_head->length : 1;
  if (sealed && !list.file_bytes && !list.damaged_at) {
    findings_->add_part({"its end", "is missing", list.size, list.size, true});
  } else if (first && !sealed && list.file_bytes && options_.named_whole) {
    const char* what = "says that the dump is incomplete, which it is not";
    findings_->add_part({"header", what, 0, length});
  } else if (first && !sealed && list.file_bytes) {
    findings_->note("every page was written, but the dump was not sealed");
  } else if (!first && !sealed && (list.first_head || list.sealed_head)) {
    findings_->add_part({"header", kMismatch, 0, length});
    head_damaged_ = true;
  }
}

Result<bool> StreamVerifier::take_listed(ListCursor& cursor, Piece& piece) {
  std::lock_guard lock(mutex_);
  for (;;) {
    DW_ASSIGN(std::optional<JournalEntry> entry, cursor.next());
    if (!entry) return false;
    const JournalRecord& record = entry->record;
    if (record.kind == PieceKind::kPlan || record.kind == PieceKind::kSealedHead ||
        record.kind == PieceKind::kEnd)
      continue;
    piece.record = record;
    piece.content_offset = content_bytes_;
    piece.chunks.assign(entry->chunks.begin(), entry->chunks.end());
    content_bytes_ += record.content;
    // The first frame is checked already.
    if (record.kind != PieceKind::kHead || record.offset != 0) return true;
  }
}

void StreamVerifier::judge_listed(const Piece& piece, const FrameChecker::Found& found) {
  const JournalRecord& record = piece.record;
  if (found.read && found.digest == record.digest && found.right) {
    if (!list_->file_bytes && record.missing > 0) note_missing(piece, found.content);
    return;
  }
  uint64_t end = record.offset + record.length;
  if (record.kind != PieceKind::kPages) {
    bool head = record.kind == PieceKind::kHead;
    findings_->add_part({head                              ? "head"
                         : record.kind == PieceKind::kMark ? "mark of missing pages"
                                                           : "closing frame or seek table",
                         found.read ? kMismatch : "cannot be read", record.offset, end});
    std::lock_guard lock(mutex_);
    head_damaged_ |= head;
    return;
  }
  findings_->data().add(piece.content_offset, piece.content_offset + record.content,
                        !found.read   ? Damage::kUnreadable
                        : found.right ? Damage::kSuspect
                                      : Damage::kData);
  if (piece.chunks.empty()) return;
  auto [low, high] = std::ranges::minmax(piece.chunks);
  std::lock_guard lock(mutex_);
  if (batches_.size() < kMaxBatches)
    batches_.push_back(
        {.first_pfn = uint64_t{low} * kChunkPages,
         .last_pfn = uint64_t{high} * kChunkPages + kChunkPages - 1,
         .pages = uint64_t{record.stored} + record.shared + record.zero + record.missing,
         .begin = record.offset,
         .end = end});
}

Status StreamVerifier::check_rest() {
  if (list_ && list_->file_bytes && !list_->damaged()) return {};
  DW_ASSIGN(uint64_t size, file_size(file_));
  DW_ASSIGN(uint64_t end, end_without_zeros(file_, size));
  content_bytes_ = 0;
  // As StreamFile::open().
  FrameWalker walker(file_, std::min(size, end + 3));
  return check_all(
      [&](Piece& piece) { return take_walked(walker, piece); },
      [this](const Piece& piece, const FrameChecker::Found& found) { judge_walked(piece, found); });
}

Result<bool> StreamVerifier::take_walked(FrameWalker& walker, Piece& piece) {
  std::lock_guard lock(mutex_);
  while (!walk_ended_) {
    FrameInfo info;
    Result<FrameWalker::Step> step = walker.next(info);
    // What is wrong with the frame's header is told when the stream is opened.
    walk_ended_ = !step.ok() || *step != FrameWalker::Step::kFrame;
    if (walk_ended_) break;
    piece.record = {.offset = info.offset,
                    .length = static_cast<uint32_t>(info.length),
                    .content = static_cast<uint32_t>(info.content_bytes)};
    piece.content_offset = content_bytes_;
    piece.chunks.clear();
    content_bytes_ += info.content_bytes;
    if (list_ && info.offset < vouched_bytes_) continue;
    piece.index = digests_.size();
    digests_.push_back(0);
    return true;
  }
  return false;
}

void StreamVerifier::judge_walked(const Piece& piece, const FrameChecker::Found& found) {
  const JournalRecord& record = piece.record;
  {
    std::lock_guard lock(mutex_);
    digests_[piece.index] = found.digest;
  }
  if (found.read && found.right) {
    note_missing(piece, found.content);
    return;
  }
  uint64_t end = piece.content_offset + record.content;
  // What was not synced when power went may be there in part.
  if (list_ && !list_->file_bytes)
    findings_->missing().add(piece.content_offset, end, Damage::kMissing);
  else
    findings_->data().add(piece.content_offset, end,
                          found.read ? Damage::kData : Damage::kUnreadable);
}

void StreamVerifier::note_missing(const Piece& piece, Bytes content) {
  if (content.size() % kSlotBytes != 0) return;
  for (size_t at = 0; at < content.size(); at += kSlotBytes)
    if (is_missing_page(content.subspan(at, kSlotBytes)))
      findings_->missing().add(piece.content_offset + at, piece.content_offset + at + kSlotBytes,
                               Damage::kMissing);
}

// Its digest speaks for all frames but the first; without a list it is all there is for marks and
// for headers of frames.
void StreamVerifier::check_closing(const ClosingFrame& closing) {
  if (list_) return;
  RunningDigest digest;
  for (size_t i = 1; i < std::min<uint64_t>(closing.frames, digests_.size()); ++i)
    digest.add(bytes_of(digests_[i]));
  if (digest.value() != closing.digest)
    findings_->add_part({"frames", "do not match the digest in the closing frame", 0, 0});
}

Status StreamVerifier::tell_pages() {
  DW_ASSIGN(ReadableFile readable, ReadableFile::duplicate(file_));
  DW_ASSIGN(std::unique_ptr<StreamFile> stream, StreamFile::open(std::move(readable)));
  if (stream->closing()) check_closing(*stream->closing());
  DW_ASSIGN(std::shared_ptr<const KdumpFile> file, KdumpFile::open(std::move(stream)));
  DW_ASSIGN(std::unique_ptr<ByteReader> reader, file->source().open_reader());
  DW_ASSIGN(ChunkSet none, ChunkSet::create(file->max_mapnr()));
  TableWalk::Vouched vouched{.chunks = none, .distrusted = none, .all_checked = true};
  findings_->report().says_whole = !file->incomplete();
  findings_->tell_parts();
  return TableWalk(*file, *reader, vouched, *findings_).tell_pages();
}

Status StreamVerifier::tell() {
  findings_->settle();
  std::optional<Error> error;
  if (!head_damaged_) {
    Status told = tell_pages();
    if (told.ok()) return {};
    error = told.error();
    if (!list_) return *error;
  }
  tell_by_list(error);
  return {};
}

// Behind what the list of an incomplete stream vouches for anything may stand.
void StreamVerifier::tell_by_list(const std::optional<Error>& error) {
  uint64_t at = error && error->where() == Where::kOffset ? error->position() : 0;
  bool unfinished = error && !list_->file_bytes && at >= vouched_bytes_;
  if (unfinished)
    findings_->note("behind what its list of checksums vouches for, the stream is not whole");
  else if (error && findings_->report().damaged_parts == 0 && batches_.empty())
    findings_->add_part({"stream", error->what(), at, at + 1});
  findings_->tell_parts();
  std::ranges::sort(batches_, {}, &DamagedBatch::first_pfn);
  for (const DamagedBatch& batch : batches_)
    findings_->tell_pages({.first_pfn = batch.first_pfn,
                           .last_pfn = batch.last_pfn,
                           .pages = batch.pages,
                           .damage = Damage::kSuspect,
                           .begin = batch.begin,
                           .end = batch.end});
  VerifyReport& report = findings_->report();
  report.says_whole = list_->file_bytes.has_value();
  report.count_by_list(list_->planned_pages(), list_->pages.readable());
}

}  // namespace dw
