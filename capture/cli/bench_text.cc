// bench_text() and what it is made of; bench_json() stands in bench_json.cc.
#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "capture/cli/bench_report.h"
#include "capture/report/message.h"

namespace dw {

namespace {

using Rows = std::vector<std::vector<std::string>>;

[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 does not see va_start here
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  return line;
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string name_text(std::string name) {
  replace_control_characters(name);
  return name;
}

std::string rate_text(const Rate& rate) { return text("%.0f", rate.median); }
std::string spread_text(const Rate& rate) { return text("%.0f..%.0f", rate.low, rate.high); }

std::string pages_text(uint64_t pages, const BenchResult& result) {
  return size_text(static_cast<double>(pages * result.page_size));
}

std::string head_text(const BenchResult& result) {
  std::string out =
      text("%s, dump level %u: %s of RAM, %s (%.1f %%) kept before the test for zeros\n",
           name_text(result.source).c_str(), result.dump_level,
           pages_text(result.counts.total(), result).c_str(),
           pages_text(result.counts.kept, result).c_str(),
           share(result.counts.kept, result.counts.total()));
  out += "  RAM:";
  for (size_t i = 0; i < kPageClassCount; ++i) {
    auto page_class = static_cast<PageClass>(i);
    if (uint64_t pages = result.counts.of(page_class); pages > 0)
      out += text(" %s %.1f %%,", name_of(page_class), share(pages, result.counts.total()));
  }
  out.back() = '\n';
  const BenchSample::Counts& sample = result.sample;
  out += text("  sample: %s in %" PRIu64 " pages, %.1f %% of them zero, %.1f %% repeated\n",
              pages_text(sample.kept, result).c_str(), sample.kept, share(sample.zero, sample.kept),
              share(sample.repeated, sample.kept));
  if (sample.unreadable > 0)
    out += text("  %" PRIu64 " pages of it cannot be read\n", sample.unreadable);
  return out + text("  machine: %u CPUs, %s of memory available\n", result.cpus,
                    size_text(static_cast<double>(result.available_memory_bytes)).c_str());
}

std::string reading_text(const BenchResult& result) {
  Rows rows = {{"one thread", "MB/s", "spread"}};
  for (size_t i = 0; i < result.reading.size(); ++i) {
    const ReadSpeed& speed = result.reading[i];
    const char* method = speed.mapped ? "mapped" : "pread";
    if (i == 0)
      rows.push_back({text("reading (%s, the first time, %.0f %% from a disk)", method,
                           100 * speed.disk_share),
                      text("%.0f", speed.first_mb_per_s), ""});
    rows.push_back({text("reading (%s%s)", method, i == 0 ? ", as a capture does" : ""),
                    rate_text(speed.rate), spread_text(speed.rate)});
  }
  if (result.judging.median > 0)
    rows.push_back(
        {"judging (struct pages)", rate_text(result.judging), spread_text(result.judging)});
  return format_table(rows, 1);
}

std::string codecs_text(const BenchResult& result) {
  Rows rows = {{"format", "compression", "ratio", "MB/s per CPU", "spread",
                text("MB/s, %u threads", result.threads), "efficiency", "memory", "dump", "time"}};
  for (size_t i = 0; i < result.codecs.size(); ++i) {
    const CodecSpeed& codec = result.codecs[i];
    const Estimate& whole = result.estimates[i];
    rows.push_back({std::string(name_of(codec.spec.format)),
                    compression_name(codec.spec.compression), text("%.3f", codec.ratio),
                    rate_text(codec.bare), spread_text(codec.bare), rate_text(codec.pipeline),
                    text("%.0f %%", 100 * codec.efficiency),
                    size_text(static_cast<double>(result.memory_bytes[i])),
                    size_text(static_cast<double>(whole.bytes)), duration_text(whole.total_s())});
  }
  return format_table(rows, 2);
}

std::string scaling_text(const BenchResult& result) {
  Rows rows = {{"threads", "MB/s", "spread", "CPUs had", "efficiency", "codec's CPU time"}};
  for (const ScalingSpeed& point : result.scaling)
    rows.push_back({text("%u", point.threads), rate_text(point.pipeline),
                    spread_text(point.pipeline), text("%.2f", point.pipeline.cpus),
                    text("%.0f %%", 100 * point.efficiency),
                    text("%.0f %%", 100 * point.codec_share)});
  return format_table(rows, 0);
}

std::string target_text(const TargetSpeed& target) {
  return text("%s: %.0f MB/s with all syncs (%s in %s), %s free%s\n",
              name_text(target.path).c_str(), target.mb_per_s(),
              size_text(static_cast<double>(target.bytes)).c_str(),
              duration_text(static_cast<double>(target.elapsed_ns) / 1e9).c_str(),
              size_text(static_cast<double>(target.free_bytes)).c_str(),
              target.filled ? "; it was filled up meanwhile" : "");
}

std::string why_text(const Estimate& estimate) {
  std::string why = text("%s takes longest: judging %s", name_of(estimate.bottleneck()),
                         duration_text(estimate.judging_s).c_str());
  if (estimate.reading_s > 0) why += ", reading " + duration_text(estimate.reading_s);
  why += ", compressing " + duration_text(estimate.compressing_s);
  if (estimate.writing_s > 0) why += ", writing " + duration_text(estimate.writing_s);
  return why;
}

std::string advice_text(const BenchResult& result, const Advice& advice) {
  const CodecSpeed& codec = result.codecs[advice.candidate];
  std::string out;
  if (!result.target)
    out = text("  target of %.0f MB/s: ", advice.target_mb_per_s);
  else
    out = "  ";
  out += text("--format %s --compress %s --threads %u: %s in %s\n",
              name_of(codec.spec.format).data(), compression_name(codec.spec.compression).c_str(),
              advice.threads, size_text(static_cast<double>(advice.estimate.bytes)).c_str(),
              duration_text(advice.estimate.total_s()).c_str());
  out += "    " + why_text(advice.estimate) + "\n";
  if (!advice.estimate.fits) out += "    even this does not fit into the target\n";
  return out;
}

// What makes the numbers worth less.
std::string doubts_text(const BenchResult& result) {
  std::string out;
  double least = 1;
  for (const CodecSpeed& codec : result.codecs) least = std::min(least, codec.bare.cpus);
  if (result.disturbed)
    out += text(
        "\nOther work ran on this machine: one thread had %.0f %% of a CPU. Dump times and what is "
        "recommended count on a CPU for each thread.\n",
        100 * least);
  constexpr uint64_t kLittle = 4 << 20;
  if (uint64_t bytes = result.sample.kept * result.page_size; bytes > 0 && bytes < kLittle)
    out += "\nThe sample is small: starting threads weighs more than it would in a dump.\n";
  return out;
}

}  // namespace

std::string size_text(double bytes) {
  if (bytes >= 1e9) return text("%.2f GB", bytes / 1e9);
  if (bytes >= 1e6) return text("%.1f MB", bytes / 1e6);
  return text("%.1f kB", bytes / 1e3);
}

std::string duration_text(double seconds) {
  if (seconds >= 600) return text("%.0f min", seconds / 60);
  return seconds >= 10 ? text("%.0f s", seconds) : text("%.2f s", seconds);
}

const char* name_of(Bottleneck bottleneck) {
  switch (bottleneck) {
    case Bottleneck::kJudging:
      return "judging";
    case Bottleneck::kReading:
      return "reading";
    case Bottleneck::kCompressing:
      return "compressing";
    case Bottleneck::kWriting:
      return "writing";
  }
  return "";
}

std::string format_table(const std::vector<std::vector<std::string>>& rows, size_t left_columns) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - row[i].size(), ' ');
      line += i == 0 ? "  " : "   ";
      line += i < left_columns ? row[i] + padding : padding + row[i];
    }
    line.resize(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string bench_text(const BenchResult& result) {
  std::string out = head_text(result);
  out += text("  pass 1 over all of it: %s\n", duration_text(result.pass_one_s).c_str());
  if (result.target) out += "\nTarget\n  " + target_text(*result.target);
  if (result.codecs.empty())
    return out + "\nThere is no page to compress: any compression will do.\n";
  out += "\nSource\n" + reading_text(result);
  out +=
      "\nCompression (MB/s per CPU: the codec alone; with threads: all but the target; dump and "
      "time: of the whole vmcore)\n";
  out += codecs_text(result);
  out += text("\nThreads, with %s (efficiency: of threads x the codec alone)\n",
              option_names(result.codecs[0].spec).c_str());
  out += scaling_text(result);
  out += "\nRecommended\n";
  for (const Advice& advice : result.advice) out += advice_text(result, advice);
  return out + doubts_text(result);
}

}  // namespace dw
