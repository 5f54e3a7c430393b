#include "capture/cli/bench_measure.h"

#include <sys/resource.h>

#include <algorithm>

#include "capture/cli/memory_budget.h"
#include "capture/codec/frame_compressor.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/window_classifier.h"
#include "capture/target/open_store.h"

namespace dw {

namespace {

// Enough struct pages to leave the caches: 128 MiB.
constexpr uint64_t kJudgedWindows = 64;

// Bytes that this thread had to wait for a disk to give.
uint64_t disk_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_THREAD, &usage);
  return static_cast<uint64_t>(usage.ru_inblock) * 512;
}

// First page frames of windows with memory, evenly spread.
std::vector<uint64_t> spread_windows(const PhysicalMap& memory) {
  std::vector<uint64_t> windows;
  for (const PfnRange& range : memory.pfn_ranges())
    for (uint64_t pfn = range.begin / kWindowPages * kWindowPages; pfn < range.end;
         pfn += kWindowPages)
      if (windows.empty() || windows.back() != pfn) windows.push_back(pfn);
  uint64_t there = windows.size();
  uint64_t wanted = std::min(there, kJudgedWindows);
  for (uint64_t i = 0; i < wanted; ++i) windows[i] = windows[i * there / wanted];
  windows.resize(wanted);
  return windows;
}

// What one pass over the sample made.
struct Compressed {
  Timing timing;
  uint64_t bytes = 0;
};

Compressed compress_pages(const BenchSample& sample, PageCompressor& compressor, MutableBytes out) {
  Compressed result;
  size_t page_size = sample.page_size();
  Stopwatch watch;
  for (size_t i = 0; i < sample.batch_count(); ++i) {
    MutableBytes room = out;
    Bytes batch = sample.batch(i);
    for (; !batch.empty(); batch = batch.subspan(page_size)) {
      size_t size = compressor.compress(batch.first(page_size), room);
      // What does not shrink is stored, as by page_coder.cc.
      if (size == 0) std::ranges::copy(batch.first(size = page_size), room.begin());
      room = room.subspan(size);
      result.bytes += size;
    }
  }
  result.timing = watch.elapsed();
  return result;
}

Compressed compress_frames(const BenchSample& sample, FrameCompressor& compressor,
                           MutableBytes out) {
  Compressed result;
  Stopwatch watch;
  for (size_t i = 0; i < sample.batch_count(); ++i)
    if (Bytes batch = sample.batch(i); !batch.empty())
      result.bytes += compressor.compress(batch, out);
  result.timing = watch.elapsed();
  return result;
}

// Measures `compress`, which makes one pass over the sample.
template <typename Compress>
Status measure_bare(const BenchSetup& setup, CodecSpeed& speed, Compress compress) {
  uint64_t compressed = 0;
  auto pass = [&]() -> Result<Timing> {
    Compressed result = compress();
    compressed = result.bytes;
    return result.timing;
  };
  auto bytes = static_cast<double>(setup.sample.filled_pages() * setup.sample.page_size());
  DW_ASSIGN(speed.bare, measure_rate(setup.seconds, bytes, RatedBy::kCpu, pass));
  speed.ratio = static_cast<double>(compressed) / bytes;
  return {};
}

// Pass 2 over the sample, with nobody who writes.
struct PipelineRun {
  Timing timing;
  PageCounts counts;
  uint64_t bytes = 0;
  unsigned threads = 0;
};

CodingOptions coding_options(const BenchSetup& setup, const Saving& spec) {
  CodingOptions coding = coding_for({.format = spec.format, .compression = spec.compression},
                                    (setup.dump_level & kLeaveOutZero) != 0);
  coding.share_duplicates = can_share_pages(spec.format);
  coding.hash_seed = hash_seed_of(setup.vmcore.headers().notes);
  return coding;
}

Result<PipelineRun> run_pipeline(const BenchSetup& setup, const PipelineOptions& options) {
  PageSourceFactory sources = [&] {
    return VmcorePageSource::create(setup.vmcore, setup.layout, setup.dump_level);
  };
  DW_ASSIGN(Pipeline pipeline, Pipeline::create(sources, options, setup.sample.page_size()));
  PipelineRun run{.timing = {}, .counts = {}, .bytes = 0, .threads = pipeline.threads()};
  ProcessStopwatch watch;
  DW_TRY(pipeline.run(setup.sample.plan(), {},
                      [&](const PlannedBatch&, const BatchOutput& output) -> Result<uint64_t> {
                        if (output.error()) return *output.error();
                        uint64_t begin = run.bytes;
                        run.counts += output.counts();
                        run.bytes += output.data().size();
                        return begin;
                      }));
  run.timing = watch.elapsed();
  return run;
}

}  // namespace

std::string compression_name(const CompressionOptions& options) {
  std::string name(name_of(options.compression));
  bool one_level = options.compression == Compression::kNone ||
                   (options.compression == Compression::kLz4 && options.level == 1);
  return one_level ? name : name + ":" + std::to_string(options.level);
}

std::string option_names(const Saving& spec) {
  return std::string(name_of(spec.format)) + " " + compression_name(spec.compression);
}

Result<ReadSpeed> measure_reading(const std::string& path, ReadMethod method,
                                  std::span<const PageRun> runs, double seconds) {
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(path.c_str(), method));
  size_t page_size = vmcore.page_size();
  DW_ASSIGN(Buffer into, Buffer::allocate(kRunPages * page_size));
  uint64_t pages = 0;
  for (const PageRun& run : runs) pages += run.count;
  auto bytes = static_cast<double>(pages * page_size);
  VmcoreReader reader(vmcore);
  auto pass = [&]() -> Result<Timing> {
    Stopwatch watch;
    for (const PageRun& run : runs)
      (void)reader.read_pages(run.first_pfn, run.count, into.bytes().first(run.count * page_size));
    return watch.elapsed();
  };
  ReadSpeed speed;
  speed.mapped = vmcore.mapped();
  uint64_t before = disk_bytes();
  DW_ASSIGN(Timing first, pass());
  // Reading ahead may bring more.
  speed.disk_share =
      std::min(1.0, static_cast<double>(disk_bytes() - before) / std::max(1.0, bytes));
  speed.first_mb_per_s = rate_of({&first, 1}, bytes, RatedBy::kWall).median;
  DW_ASSIGN(speed.rate, measure_rate(seconds, bytes, RatedBy::kWall, pass));
  return speed;
}

Result<Rate> measure_judging(const BenchSetup& setup) {
  DW_ASSIGN(WindowClassifier classifier,
            WindowClassifier::create(setup.vmcore, setup.layout, setup.dump_level));
  std::vector<uint64_t> windows = spread_windows(setup.vmcore.memory());
  std::vector<uint64_t> verdict(kWindowWords);
  ClassCounts once;
  for (uint64_t first_pfn : windows) classifier.classify(first_pfn, kWindowPages, verdict, once);
  auto pass = [&]() -> Result<Timing> {
    ClassCounts counts;
    Stopwatch watch;
    for (uint64_t pfn : windows) classifier.classify(pfn, kWindowPages, verdict, counts);
    return watch.elapsed();
  };
  auto bytes = static_cast<double>(once.total() * setup.layout.page.struct_page_bytes);
  return measure_rate(setup.seconds, bytes, RatedBy::kCpu, pass);
}

Result<CodecSpeed> measure_codec(const BenchSetup& setup, const Saving& spec) {
  const BenchSample& sample = setup.sample;
  size_t batch_bytes = kBatchPages * sample.page_size();
  CodecSpeed speed;
  speed.spec = spec;
  if (spec.format == DumpFormat::kKdump) {
    DW_ASSIGN(auto compressor, PageCompressor::create(spec.compression, sample.page_size()));
    // One page more: compress() wants room for a whole one.
    DW_ASSIGN(Buffer out, Buffer::allocate(batch_bytes + sample.page_size()));
    auto compress = [&] { return compress_pages(sample, compressor, out.bytes()); };
    DW_TRY(measure_bare(setup, speed, compress));
  } else {
    DW_ASSIGN(auto compressor, FrameCompressor::create(spec.compression, batch_bytes));
    DW_ASSIGN(Buffer out, Buffer::allocate(FrameCompressor::bound(batch_bytes)));
    auto compress = [&] { return compress_frames(sample, compressor, out.bytes()); };
    DW_TRY(measure_bare(setup, speed, compress));
  }
  return speed;
}

Status measure_pipeline(const BenchSetup& setup, unsigned threads, CodecSpeed& speed) {
  PipelineOptions options{.threads = threads, .coding = coding_options(setup, speed.spec)};
  PipelineRun last;
  auto pass = [&]() -> Result<Timing> {
    DW_ASSIGN(last, run_pipeline(setup, options));
    return last.timing;
  };
  auto page_size = static_cast<double>(setup.sample.page_size());
  double kept_bytes = static_cast<double>(setup.sample.counts().kept) * page_size;
  DW_ASSIGN(speed.pipeline, measure_rate(setup.seconds, kept_bytes, RatedBy::kWall, pass));
  speed.threads = last.threads;
  speed.stored_share = static_cast<double>(last.bytes) / kept_bytes;
  double compressed_share = static_cast<double>(last.counts.stored) * page_size / kept_bytes;
  double ideal = speed.bare.median * last.threads;
  speed.efficiency = ideal > 0 ? speed.pipeline.median * compressed_share / ideal : 0;
  double had = std::max(speed.pipeline.cpus, 1e-9);
  speed.codec_share = speed.efficiency * last.threads / had;
  return {};
}

std::vector<unsigned> thread_counts(unsigned most) {
  std::vector<unsigned> counts;
  for (unsigned count = 1; count < most; count += count < 8 ? 1 : count) counts.push_back(count);
  counts.push_back(most);
  return counts;
}

uint64_t capture_memory_bytes(const BenchSetup& setup, const Saving& spec, unsigned threads) {
  PipelineOptions pipeline{.threads = threads, .coding = coding_options(setup, spec)};
  WriterOptions writer{.format = spec.format, .compression = spec.compression};
  size_t target = store_memory_bytes(TargetKind::kDirectory);
  return capture_memory_needs(pipeline, writer, target, setup.vmcore).with(threads);
}

}  // namespace dw
