// Writes a dump of one format: the one interface between the passes and what stands on the target.
//
// Order of calls: write_bitmaps() for each window, begin(), publish(), append() for each batch in
// plan order, finish(). Of a dump that is continued: resume(), append() for the batches that are
// left, finish(). Everything a writer will ever need is allocated when it is made.
// Thread safety: owned and called by one thread, except write_bitmaps() and read_kept(), which may
// be called from several at once.
#pragma once

#include <cstdint>
#include <functional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/pipeline/batch_output.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"

namespace dw {

// How far an interrupted dump is there.
struct ResumePoint {
  uint64_t batches = 0;  // of the plan; the next one is to be appended
  PageCounts counts;     // of these
};

// A page that stands in the file and may be shared: the sequence of its batch, its bytes, where it
// stands and how long it is there. Called in order of sequence.
using RememberPage =
    std::function<void(uint64_t sequence, Bytes page, uint64_t where, uint32_t size)>;

class DumpWriter {
 public:
  DumpWriter() = default;
  DumpWriter(const DumpWriter&) = delete;
  DumpWriter& operator=(const DumpWriter&) = delete;
  virtual ~DumpWriter() = default;

  // Bits of the window that starts at `first_pfn`, one per page frame, least significant first:
  // pages that are RAM, pages that are kept. Windows without memory are not written.
  virtual Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) = 0;

  // Whether write_bitmaps() wants the windows one at a time and ascending.
  [[nodiscard]] virtual bool wants_windows_in_order() const { return false; }

  // Whether read_kept() works. If not, pass 2 compares with digests in the plan.
  [[nodiscard]] virtual bool keeps_bitmap() const { return true; }

  // Reads back what write_bitmaps() wrote as kept.
  virtual Status read_kept(uint64_t first_pfn, MutableBytes bits) = 0;

  // Writes the head of the file.
  virtual Status begin(const Plan& plan) = 0;
  // Syncs and shows the file as an incomplete dump.
  virtual Status publish() = 0;

  // In the place of begin() and publish(): goes on with what an interrupted run left on the target.
  // Error kBadInput, with the reason, if that is no part of the dump that `plan` makes; it is as it
  // was, then. Other errors are the target's.
  virtual Result<ResumePoint> resume(const Plan&, const RememberPage&) {
    return Error(ErrorKind::kBadInput, "a dump of this format cannot be continued");
  }

  // Appends a batch and returns where in the file its data begins. What was appended is made
  // durable now and then.
  virtual Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) = 0;

  // Makes durable what was appended. append() does so often enough by itself.
  virtual Status checkpoint() = 0;

  // Makes everything durable; then, if `complete`, says so in the file and seals it.
  virtual Status finish(bool complete) = 0;

  // Whether something can be read of a dump without a finish().
  [[nodiscard]] virtual bool readable_when_cut() const { return true; }

  // Length of the file so far.
  [[nodiscard]] virtual uint64_t bytes_written() const = 0;
};

}  // namespace dw
