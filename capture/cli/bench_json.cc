#include "capture/cli/bench_report.h"
#include "capture/cli/capture_report.h"
#include "capture/report/json.h"

namespace dw {

namespace {

JsonObject rate_json(const Rate& rate) {
  JsonObject object;
  object.add("median", rate.median)
      .add("low", rate.low)
      .add("high", rate.high)
      .add("cpus", rate.cpus);
  return object;
}

JsonObject sample_json(const BenchResult& result) {
  const BenchSample::Counts& counts = result.sample;
  auto kept = static_cast<double>(counts.kept > 0 ? counts.kept : 1);
  JsonObject object;
  object.add("pages", counts.kept)
      .add("bytes", counts.kept * result.page_size)
      .add("zero_pages", counts.zero)
      .add("repeated_pages", counts.repeated)
      .add("unreadable_pages", counts.unreadable)
      .add("zero_share", static_cast<double>(counts.zero) / kept)
      .add("repeated_share", static_cast<double>(counts.repeated) / kept);
  return object;
}

JsonArray reading_json(const BenchResult& result) {
  JsonArray array;
  for (const ReadSpeed& speed : result.reading) {
    JsonObject object;
    object.add("method", speed.mapped ? "map" : "read")
        .add("used_by_capture", &speed == &result.reading.front())
        .add("first_mb_per_s", speed.first_mb_per_s)
        .add("first_disk_share", speed.disk_share)
        .add("mb_per_s", rate_json(speed.rate));
    array.add(object);
  }
  return array;
}

JsonObject estimate_json(const Estimate& estimate) {
  JsonObject object;
  object.add("bytes", estimate.bytes)
      .add("seconds", estimate.total_s())
      .add("judging_s", estimate.judging_s)
      .add("reading_s", estimate.reading_s)
      .add("compressing_s", estimate.compressing_s)
      .add("writing_s", estimate.writing_s)
      .add("bottleneck", name_of(estimate.bottleneck()))
      .add("fits", estimate.fits);
  return object;
}

JsonArray codecs_json(const BenchResult& result) {
  JsonArray array;
  for (size_t i = 0; i < result.codecs.size(); ++i) {
    const CodecSpeed& codec = result.codecs[i];
    JsonObject object;
    object.add("format", name_of(codec.spec.format))
        .add("compression", compression_name(codec.spec.compression))
        .add("ratio", codec.ratio)
        .add("mb_per_s_per_cpu", rate_json(codec.bare))
        .add("threads", uint64_t{codec.threads})
        .add("pipeline_mb_per_s", rate_json(codec.pipeline))
        .add("efficiency", codec.efficiency)
        .add("codec_share_of_cpu", codec.codec_share)
        .add("stored_share", codec.stored_share)
        .add("memory_bytes", result.memory_bytes[i])
        .add("whole", estimate_json(result.estimates[i]));
    array.add(object);
  }
  return array;
}

JsonArray scaling_json(const BenchResult& result) {
  JsonArray array;
  for (const ScalingSpeed& point : result.scaling) {
    JsonObject object;
    object.add("threads", uint64_t{point.threads})
        .add("pipeline_mb_per_s", rate_json(point.pipeline))
        .add("efficiency", point.efficiency)
        .add("codec_share_of_cpu", point.codec_share);
    array.add(object);
  }
  return array;
}

JsonObject target_json(const TargetSpeed& target) {
  JsonObject object;
  object.add("path", target.path)
      .add("mb_per_s", target.mb_per_s())
      .add("bytes", target.bytes)
      .add("seconds", static_cast<double>(target.elapsed_ns) / 1e9)
      .add("free_bytes", target.free_bytes)
      .add("filled", target.filled);
  return object;
}

JsonArray advice_json(const BenchResult& result) {
  JsonArray array;
  for (const Advice& advice : result.advice) {
    const CodecSpeed& codec = result.codecs[advice.candidate];
    JsonObject object;
    object.add("target_mb_per_s", advice.target_mb_per_s)
        .add("format", name_of(codec.spec.format))
        .add("compression", compression_name(codec.spec.compression))
        .add("threads", uint64_t{advice.threads})
        .add("whole", estimate_json(advice.estimate));
    array.add(object);
  }
  return array;
}

}  // namespace

std::string bench_json(const BenchResult& result) {
  JsonObject machine;
  machine.add("cpus", uint64_t{result.cpus})
      .add("threads", uint64_t{result.threads})
      .add("available_memory_bytes", result.available_memory_bytes);
  JsonObject object;
  object.add("source", result.source)
      .add("dump_level", uint64_t{result.dump_level})
      .add("page_size", result.page_size)
      .add("pages", counts_json(result.counts))
      .add("machine", machine)
      .add("pass_one_s", result.pass_one_s)
      .add("judging_mb_per_s_per_cpu", rate_json(result.judging))
      .add("sample", sample_json(result))
      .add("reading", reading_json(result))
      .add("codecs", codecs_json(result))
      .add("disturbed", result.disturbed)
      .add("scaling_compression",
           result.codecs.empty() ? "" : compression_name(result.codecs[0].spec.compression))
      .add("scaling", scaling_json(result));
  if (result.target) object.add("target", target_json(*result.target));
  object.add("recommended", advice_json(result));
  return object.text() + "\n";
}

}  // namespace dw
