// Verifies a stream: by its list of checksums, if it has one, and by its frames' own checksums.
//
// Each frame is read and decompressed once, by all threads in the order of the file. Damage is
// known by its place in the content, and a walk over the descriptors in the head tells which pages
// it takes; where the head is damaged, the list's chunks tell it.
// Memory: the index of the stream (24 bytes for each frame, and 8 more without a list), and for
// each thread what frame_checker.h says. Thread safety: one thread calls it.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/format/frame_walker.h"
#include "capture/format/stream_format.h"
#include "capture/verify/findings.h"
#include "capture/verify/frame_checker.h"
#include "capture/verify/list_cursor.h"
#include "capture/verify/list_summary.h"

namespace dw {

class StreamVerifier {
 public:
  struct Options {
    unsigned threads = 1;
    bool named_whole = false;  // the file's name is that of a whole dump
    Compression compression = Compression::kZstd;
  };

  // `file` and `findings` must outlive it.
  StreamVerifier(FileView file, Options options, Findings& findings)
      : file_(file), options_(options), findings_(&findings) {}

  // Whether the list is of this stream, whatever else of either is damaged.
  [[nodiscard]] bool owns(const ListSummary& list) const;
  // Checks all that the list speaks for.
  Status check_by_list(const FileView& list_file, const ListSummary& list);
  // Checks the frames that it did not.
  Status check_rest();
  // Tells which pages are damaged, and fills in the report. Errors: there is no list, and the
  // stream cannot be opened.
  Status tell();

 private:
  // One that a thread takes.
  struct Piece {
    JournalRecord record;
    uint64_t content_offset = 0;
    uint64_t index = 0;  // of a frame behind the list's
    std::vector<uint32_t> chunks;
  };
  // Of pages, as the list has them.
  struct DamagedBatch {
    uint64_t first_pfn;
    uint64_t last_pfn;
    uint64_t pages;
    uint64_t begin;  // in the file
    uint64_t end;
  };
  // As many as DamagedData keeps.
  static constexpr size_t kMaxBatches = DamagedData::kMaxPlaces;

  using Take = std::function<Result<bool>(Piece&)>;
  using Judge = std::function<void(const Piece&, const FrameChecker::Found&)>;
  // Has every piece that `take` gives read and judged, on all threads.
  Status check_all(const Take& take, const Judge& judge);

  [[nodiscard]] bool matches(const JournalRecord& record) const;
  void check_first_frame();
  Result<bool> take_listed(ListCursor& cursor, Piece& piece);
  void judge_listed(const Piece& piece, const FrameChecker::Found& found);
  Result<bool> take_walked(FrameWalker& walker, Piece& piece);
  void judge_walked(const Piece& piece, const FrameChecker::Found& found);
  // Slots that say so, of a stream that may lack their marks (stream.md).
  void note_missing(const Piece& piece, Bytes content);

  Status tell_pages();
  void check_closing(const ClosingFrame& closing);
  void tell_by_list(const std::optional<Error>& error);

  FileView file_;
  Options options_;
  Findings* findings_;
  std::optional<ListSummary> list_;
  std::mutex mutex_;
  uint64_t content_bytes_ = 0;  // before the next piece
  uint64_t vouched_bytes_ = 0;  // of the file, from its beginning
  bool walk_ended_ = false;
  bool head_damaged_ = false;
  std::vector<uint64_t> digests_;  // of the frames, without a list
  std::vector<DamagedBatch> batches_;
};

}  // namespace dw
