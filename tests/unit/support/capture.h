// A capture without the command: a whole vmcore through pipeline and writer into any target.
#pragma once

#include "capture/format/kdump_writer.h"
#include "capture/format/writer_factory.h"
#include "capture/source/vmcore.h"
#include "capture/target/target.h"

namespace dw::test {

struct CaptureSettings {
  DumpFormat format = DumpFormat::kKdump;
  CompressionOptions compression;
  unsigned threads = 1;
  bool checkpoint_each_batch = false;
  bool share_duplicates = true;
};

KdumpDescription describe(const Vmcore& vmcore, Compression compression);
DumpDescription describe(const Vmcore& vmcore);

// As the command does it: after an error of append() the writer still finishes the dump as
// incomplete. The first error is returned.
Status capture_into(Target& target, const Vmcore& vmcore, const CaptureSettings& settings);

// Goes on with the published dump on `target`; returns how many batches it did not have to write.
Result<uint64_t> resume_into(Target& target, const Vmcore& vmcore, const CaptureSettings& settings);

}  // namespace dw::test
