// Writes a stream: the bytes of an uncompressed kdump file in independent frames, from front to
// back. stream.md beside this file is the specification.
//
// The pages come as frames from the pipeline; the head is compressed here.
// Thread safety: as DumpWriter, but write_bitmaps() is called by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/codec/frame_compressor.h"
#include "capture/format/dump_writer.h"
#include "capture/format/frame_file.h"
#include "capture/format/journal_records.h"
#include "capture/format/kdump_headers.h"
#include "capture/target/target.h"

namespace dw {

// Fills in which page frames from `first_pfn` (a multiple of 8) on are RAM, one bit each, least
// significant first. The first bitmap stands before the second, so it is asked for as a whole.
using Presence = std::function<Status(uint64_t first_pfn, MutableBytes bits)>;

class StreamWriter : public DumpWriter {
 public:
  // `description.compression` is not used: pages of a stream are not compressed one by one.
  static Result<std::unique_ptr<StreamWriter>> create(Target& target,
                                                      const KdumpDescription& description,
                                                      CompressionOptions compression,
                                                      uint64_t page_size, Presence presence);

  // Writing begins here.
  Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) override;
  [[nodiscard]] bool wants_windows_in_order() const override { return true; }
  [[nodiscard]] bool keeps_bitmap() const override { return false; }
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override;
  Status begin(const Plan& plan) override;
  Status publish() override;
  Result<ResumePoint> resume(const Plan& plan, const RememberPage& remember) override;
  // `output` holds one frame (Coding::kFrames).
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override;
  Status checkpoint() override { return file_.checkpoint(); }
  Status finish(bool complete) override;

  [[nodiscard]] uint64_t bytes_written() const override { return file_.end(); }

  // What create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions compression);

 private:
  StreamWriter(Target& target, const KdumpDescription& description, CompressionOptions compression,
               const KdumpLayout& layout, Presence presence, FrameCompressor compressor);

  Status start();
  Status append_head(Bytes frame, size_t content);
  Status write_first_bitmap();
  Status write_descriptors(const Plan& plan);
  Status put(Bytes content);
  Status put_zeros_up_to(uint64_t offset);
  Status flush_head();
  Bytes stored_header(const KdumpHeader& header, MutableBytes into);
  Bytes first_frame(MutableBytes into);
  Status preallocate_journal(const PlanRecord& plan);
  Status make_durable();
  Status mark_missing(const BatchOutput& output);
  Status write_closing(bool complete);
  Status patch_first_frame();

  Target* target_;
  KdumpDescription description_;
  CompressionOptions compression_;
  KdumpLayout layout_;
  Presence presence_;
  FrameCompressor compressor_;
  FrameFile file_;
  Buffer content_;              // of the head's next frame
  Buffer frame_;                // where it is compressed to
  size_t content_size_ = 0;     // bytes of content_
  uint64_t content_begin_ = 0;  // where in the content content_ begins
  uint64_t missing_pages_ = 0;
};

}  // namespace dw
