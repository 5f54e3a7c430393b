// The measurements of `dumpwright bench`, each on the sample of a vmcore, with the classes that a
// capture itself uses.
//
// Thread safety: one thread; the pipeline starts its own. Errors: kNoMemory, or what the vmcore
// gives.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "capture/cli/bench_rate.h"
#include "capture/cli/bench_sample.h"
#include "capture/cli/saving.h"
#include "capture/kernel/layout.h"
#include "capture/pipeline/pipeline.h"
#include "capture/source/vmcore.h"

namespace dw {

// What is measured, of both formats. The first is what a capture does without options.
inline constexpr std::array<Saving, 12> kBenchCodecs = {{
    {DumpFormat::kKdump, {Compression::kZstd, 1}},
    {DumpFormat::kKdump, {Compression::kZstd, 3}},
    {DumpFormat::kKdump, {Compression::kZstd, -1}},
    {DumpFormat::kKdump, {Compression::kZstd, -3}},
    {DumpFormat::kKdump, {Compression::kZstd, -5}},
    {DumpFormat::kKdump, {Compression::kZlib, 1}},
    {DumpFormat::kKdump, {Compression::kNone, 1}},
    {DumpFormat::kStream, {Compression::kZstd, 3}},
    {DumpFormat::kStream, {Compression::kZstd, 1}},
    {DumpFormat::kStream, {Compression::kZstd, -1}},
    {DumpFormat::kStream, {Compression::kLz4, 1}},
    {DumpFormat::kStream, {Compression::kNone, 1}},
}};

// As --compress takes it: "zstd:-3", "lz4", "none".
[[nodiscard]] std::string compression_name(const CompressionOptions& options);
// With the format in front: "kdump zstd:-3".
[[nodiscard]] std::string option_names(const Saving& spec);

struct BenchSetup {
  const Vmcore& vmcore;
  const VmcoreLayout& layout;
  const BenchSample& sample;
  unsigned dump_level;
  double seconds;  // for each measurement
};

struct ReadSpeed {
  bool mapped = false;  // or with pread(2)
  Rate rate;            // of pages that were read before
  double first_mb_per_s = 0;
  double disk_share = 0;  // of the bytes, that time: they came from a disk and not from memory
};
// Reads these pages of the vmcore `path` on one thread.
Result<ReadSpeed> measure_reading(const std::string& path, ReadMethod method,
                                  std::span<const PageRun> runs, double seconds);

// Struct pages judged on one thread, in MB of them per second of CPU time.
Result<Rate> measure_judging(const BenchSetup& setup);

struct CodecSpeed {
  Saving spec;
  double ratio = 0;  // compressed by uncompressed bytes of the pages that are not zero
  Rate bare;         // the codec alone, MB of those pages per second of CPU time
  Rate pipeline;     // all of pass 2 but the target, MB of kept pages per second
  unsigned threads = 0;
  double efficiency = 0;    // MB/s that are compressed, of `threads` times the bare codec's
  double codec_share = 0;   // of the CPU time: the same, but with the CPUs that there really were
  double stored_share = 0;  // bytes that went to the dump by bytes of kept pages
};
// The codec alone.
Result<CodecSpeed> measure_codec(const BenchSetup& setup, const Saving& spec);
// Adds what the pipeline makes of it, with `threads` threads.
Status measure_pipeline(const BenchSetup& setup, unsigned threads, CodecSpeed& speed);

// 1 to `most`; doubling above 8, so that it ends in time.
[[nodiscard]] std::vector<unsigned> thread_counts(unsigned most);

// Memory that a capture takes with so many threads, in bytes.
[[nodiscard]] uint64_t capture_memory_bytes(const BenchSetup& setup, const Saving& spec,
                                            unsigned threads);

}  // namespace dw
