#include "capture/cli/bench_advice.h"

#include <algorithm>
#include <cmath>

namespace dw {

namespace {

constexpr uint64_t kDescriptorBytes = 24;

// 0 stands for no limit.
double seconds_for(double bytes, double mb_per_s) {
  return mb_per_s > 0 ? bytes / (mb_per_s * 1e6) : 0;
}

uint64_t dump_bytes(const Workload& work, const Candidate& candidate) {
  auto data = static_cast<uint64_t>(
      std::llround(static_cast<double>(work.kept_bytes) * candidate.stored_share));
  // A stream's bitmaps and descriptors are compressed to next to nothing.
  if (candidate.format == DumpFormat::kStream) return data;
  return data + work.kept_pages * kDescriptorBytes + work.bitmap_bytes;
}

struct Choice {
  size_t index;
  Estimate estimate;
};

double shortest(std::span<const Choice> choices) {
  return std::ranges::min_element(choices, {},
                                  [](const Choice& choice) { return choice.estimate.total_s(); })
      ->estimate.total_s();
}

// Of one format's candidates.
std::optional<Choice> choose(const Workload& work, std::span<const Candidate> candidates,
                             DumpFormat format) {
  std::vector<Choice> all;
  for (size_t i = 0; i < candidates.size(); ++i)
    if (candidates[i].format == format)
      all.push_back({.index = i, .estimate = estimate(work, candidates[i])});
  std::vector<Choice> fitting = all;
  std::erase_if(fitting, [](const Choice& choice) { return !choice.estimate.fits; });
  if (all.empty()) return std::nullopt;
  auto size = [](const Choice& choice) { return choice.estimate.bytes; };
  if (fitting.empty()) return *std::ranges::min_element(all, {}, size);
  double least = shortest(fitting);
  double limit = std::max(least * kSlack, least + kSlackSeconds);
  std::erase_if(fitting, [&](const Choice& choice) { return choice.estimate.total_s() > limit; });
  return *std::ranges::min_element(fitting, {}, size);
}

bool prefer_stream(const Choice& kdump, const Choice& stream) {
  if (kdump.estimate.fits != stream.estimate.fits) return stream.estimate.fits;
  if (!kdump.estimate.fits) return stream.estimate.bytes < kdump.estimate.bytes;
  double kdump_s = kdump.estimate.total_s();
  return stream.estimate.total_s() <= std::min(kStreamGain * kdump_s, kdump_s - kSlackSeconds);
}

}  // namespace

double Estimate::total_s() const {
  return judging_s + std::max({reading_s, compressing_s, writing_s});
}

Bottleneck Estimate::bottleneck() const {
  double most = std::max({judging_s, reading_s, compressing_s, writing_s});
  if (most == writing_s && writing_s > 0) return Bottleneck::kWriting;
  if (most == compressing_s) return Bottleneck::kCompressing;
  return most == reading_s ? Bottleneck::kReading : Bottleneck::kJudging;
}

Estimate estimate(const Workload& work, const Candidate& candidate, double relative) {
  auto kept = static_cast<double>(work.kept_bytes);
  Estimate result;
  result.bytes = dump_bytes(work, candidate);
  result.judging_s = work.pass_one_s;
  result.reading_s = seconds_for(kept, work.source_mb_per_s);
  result.compressing_s = seconds_for(kept, candidate.pipeline_mb_per_s * relative);
  result.writing_s = seconds_for(static_cast<double>(result.bytes), work.target_mb_per_s);
  result.fits = !work.free_bytes || result.bytes <= *work.free_bytes;
  return result;
}

std::optional<Advice> recommend(const Workload& work, std::span<const Candidate> candidates,
                                std::span<const ScalePoint> scaling) {
  std::optional<Choice> best = choose(work, candidates, DumpFormat::kKdump);
  std::optional<Choice> stream = choose(work, candidates, DumpFormat::kStream);
  if (stream && (!best || prefer_stream(*best, *stream))) best = stream;
  if (!best) return std::nullopt;
  Advice advice{.target_mb_per_s = work.target_mb_per_s,
                .candidate = best->index,
                .threads = scaling.empty() ? 1 : scaling.back().threads,
                .estimate = best->estimate};
  double limit = best->estimate.total_s() * kThreadSlack;
  for (const ScalePoint& point : scaling) {
    Estimate with = estimate(work, candidates[best->index], point.relative);
    if (with.total_s() > limit) continue;
    advice.threads = point.threads;
    advice.estimate = with;
    break;
  }
  return advice;
}

std::vector<Advice> recommend_by_target(const Workload& work, std::span<const Candidate> candidates,
                                        std::span<const ScalePoint> scaling,
                                        std::span<const double> targets_mb_per_s) {
  std::vector<Advice> all;
  Workload with_target = work;
  for (double mb_per_s : targets_mb_per_s) {
    with_target.target_mb_per_s = mb_per_s;
    if (auto advice = recommend(with_target, candidates, scaling)) all.push_back(*advice);
  }
  return all;
}

}  // namespace dw
