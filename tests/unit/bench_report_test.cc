#include "capture/cli/bench_report.h"

#include <doctest/doctest.h>

#include "tests/unit/support/json_check.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

// 1 GB of which 256 MB are kept, on two CPUs, two codecs.
BenchResult example() {
  BenchResult result;
  result.source = "/proc/vm\"core\n";
  result.counts.classes[0] = 62500;
  result.counts.classes[static_cast<size_t>(PageClass::kFree)] = 187500;
  result.counts.kept = 62500;
  result.cpus = result.threads = 2;
  result.available_memory_bytes = 2000000000;
  result.pass_one_s = 0.5;
  result.judging = {.median = 9000, .low = 8500, .high = 9100, .cpus = 1};
  result.sample = {.kept = 16000, .zero = 4000, .unreadable = 3, .repeated = 800};
  result.reading = {{.mapped = true,
                     .rate = {.median = 2600, .low = 2500, .high = 2700, .cpus = 1},
                     .first_mb_per_s = 700,
                     .disk_share = 0.25}};
  CodecSpeed zstd;
  zstd.spec = {DumpFormat::kKdump, {Compression::kZstd, 1}};
  zstd.ratio = 0.36;
  zstd.bare = {.median = 300, .low = 290, .high = 310, .cpus = 0.5};
  zstd.pipeline = {.median = 560, .low = 550, .high = 570, .cpus = 1.9};
  zstd.threads = 2;
  zstd.efficiency = 0.93;
  zstd.stored_share = 0.27;
  CodecSpeed lz4 = zstd;
  lz4.spec = {DumpFormat::kStream, {Compression::kLz4, 1}};
  result.codecs = {zstd, lz4};
  result.disturbed = true;
  result.memory_bytes = {9000000, 10000000};
  result.scaling = {
      {.threads = 1, .pipeline = zstd.pipeline, .efficiency = 0.95, .codec_share = 0.96},
      {.threads = 2, .pipeline = zstd.pipeline, .efficiency = 0.93, .codec_share = 0.94}};
  Estimate whole{.judging_s = 0.5, .compressing_s = 2, .writing_s = 1200, .bytes = 70000000};
  result.estimates = {whole, whole};
  result.advice = {{.target_mb_per_s = 200, .candidate = 1, .threads = 2, .estimate = whole}};
  return result;
}

}  // namespace

TEST_CASE("bench report: columns as wide as their widest cell") {
  CHECK(format_table({{"name", "n", ""}, {"a", "1234", "x"}}, 1) ==
        "  name      n\n"
        "  a      1234   x\n");
  CHECK(format_table({}, 1).empty());
}

TEST_CASE("bench report: sizes and times as people read them") {
  CHECK(size_text(0) == "0.0 kB");
  CHECK(size_text(1500000) == "1.5 MB");
  CHECK(size_text(2.345e12) == "2345.00 GB");
  CHECK(duration_text(0.5) == "0.50 s");
  CHECK(duration_text(12.4) == "12 s");
  CHECK(duration_text(1200) == "20 min");
}

TEST_CASE("bench report: the tables tell what was measured") {
  std::string text = bench_text(example());
  for (const char* part :
       {"/proc/vm\"core?, dump level 31: 1.02 GB of RAM, 256.0 MB (25.0 %)", "free 75.0 %",
        "25.0 % of them zero, 5.0 % repeated", "3 pages of it cannot be read",
        "reading (mapped, as a capture does)", " 2600   2500..2700\n",
        "(mapped, the first time, 25 % from a disk)", "judging (struct pages)",
        "kdump    zstd:1        0.360            300   290..310", "stream   lz4 ", "93 %",
        "target of 200 MB/s: --format stream --compress lz4 --threads 2: 70.0 MB in 20 min",
        "writing takes longest: judging 0.50 s, compressing 2.00 s, writing 20 min",
        "one thread had 50 % of a CPU"})
    CHECK_MESSAGE(contains(text, part), std::string(part) << "\n" << text);
}

TEST_CASE("bench report: a target that was measured, and one that is too small") {
  BenchResult result = example();
  result.target = TargetSpeed{.path = "/srv/dumps",
                              .bytes = 100000000,
                              .elapsed_ns = 500000000,
                              .free_bytes = 1000000,
                              .filled = true};
  result.advice[0].estimate.fits = false;
  std::string text = bench_text(result);
  for (const char* part : {"/srv/dumps: 200 MB/s with all syncs (100.0 MB in 0.50 s), 1.0 MB free",
                           "it was filled up meanwhile", "even this does not fit",
                           "  --format stream --compress lz4 --threads 2: 70.0 MB"})
    CHECK_MESSAGE(contains(text, part), std::string(part) << "\n" << text);
  std::string json = bench_json(result);
  CHECK(is_json(json));
  CHECK(contains(json, R"("target": {"path": "/srv/dumps", "mb_per_s": 200,)"));
  CHECK(contains(json, R"("fits": false)"));
}

TEST_CASE("bench report: JSON, on one line") {
  std::string json = bench_json(example());
  CHECK(is_json(json));
  CHECK(json.find('\n') == json.size() - 1);
  for (const char* part :
       {R"("source": "/proc/vm\"core\u000a")", R"("zero_share": 0.25)", R"("disturbed": true)",
        R"("reading": [{"method": "map", "used_by_capture": true)",
        R"({"format": "kdump", "compression": "zstd:1", "ratio": 0.36,)",
        R"("memory_bytes": 10000000, "whole": {"bytes": 70000000,)", R"("bottleneck": "writing")",
        R"("recommended": [{"target_mb_per_s": 200, "format": "stream", "compression": "lz4")"})
    CHECK_MESSAGE(contains(json, part), std::string(part) << "\n" << json);
  CHECK_FALSE(contains(json, "\"target\":"));
}

TEST_CASE("bench report: nothing to compress") {
  BenchResult result;
  result.source = "vmcore";
  CHECK(contains(bench_text(result), "There is no page to compress"));
  std::string json = bench_json(result);
  CHECK(is_json(json));
  CHECK(contains(json, R"("codecs": [])"));
  CHECK(contains(json, R"("recommended": [])"));
}

TEST_CASE("bench report: the check of JSON finds what is none") {
  for (const char* good : {"{}", " [1, -2.5e+3, \"a\\\"b\", null, {\"k\": [true]}] \n", "0"})
    CHECK_MESSAGE(is_json(good), good);
  for (const char* bad : {"", "{", "{\"a\"}", "[1,]", "{\"a\": 1,}", "nan", "1.", "\"a", "[] []",
                          "{\"a\": inf}", "\"\n\""})
    CHECK_FALSE_MESSAGE(is_json(bad), bad);
}
