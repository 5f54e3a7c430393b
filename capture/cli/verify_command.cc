#include "capture/cli/verify_command.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "capture/base/system.h"
#include "capture/cli/dump_path.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/verify_options.h"
#include "capture/pipeline/pipeline.h"
#include "capture/report/json.h"
#include "capture/report/message.h"
#include "capture/target/sums_file.h"
#include "capture/verify/verify.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright verify [OPTION...] DUMP\n"
    "Reads all of DUMP, the file, its directory or raw:/dev/X, and compares it with the list of "
    "checksums\n"
    "beside it (vmcore.sums) and with every page's own checksum. Tells what is damaged.\n"
    "\n"
    "  --threads N  default: one for each CPU\n"
    "  --json       one line of JSON\n"
    "\n"
    "Exit status: 0 intact, 1 damaged, or it cannot be read, 2 usage, 3 intact but incomplete.\n";

// Of each kind; the rest is counted.
constexpr uint64_t kMaxLines = 100;

std::string text_of(const DamagedPages& damage) {
  char pfns[64];
  if (damage.first_pfn == damage.last_pfn)
    std::snprintf(pfns, sizeof(pfns), "pfn 0x%" PRIx64, damage.first_pfn);
  else
    std::snprintf(pfns, sizeof(pfns), "pfn 0x%" PRIx64 "-0x%" PRIx64, damage.first_pfn,
                  damage.last_pfn);
  char text[256];
  std::snprintf(text, sizeof(text), "%s: %" PRIu64 " page%s: %s", pfns, damage.pages,
                damage.pages == 1 ? "" : "s", text_of(damage.damage));
  std::string line = text;
  if (damage.begin == damage.end) return line;
  std::snprintf(text, sizeof(text), " (offset 0x%" PRIx64 " to 0x%" PRIx64 ")", damage.begin,
                damage.end);
  return line + text;
}

std::string text_of(const DamagedPart& damage) {
  char text[256];
  std::snprintf(text, sizeof(text), "%s%s: %s", damage.in_list ? "list of checksums: " : "",
                damage.part, damage.what);
  std::string line = text;
  if (damage.begin == damage.end) return line;
  std::snprintf(text, sizeof(text), " (offset 0x%" PRIx64 " to 0x%" PRIx64 ")", damage.begin,
                damage.end);
  return line + text;
}

// One line for each damage, and then their number.
class TextOutput {
 public:
  [[nodiscard]] VerifyEvents events() {
    return {.part = [this](const DamagedPart& damage) { add(text_of(damage), parts_); },
            .pages = [this](const DamagedPages& damage) { add(text_of(damage), ranges_); },
            .note = [](const char* text) { std::printf("note: %s\n", text); }};
  }

  void finish(const std::string& path, const VerifiedDump& dump) const {
    tell_rest(parts_, "parts");
    tell_rest(ranges_, "ranges of pages");
    const VerifyReport& report = dump.report;
    std::printf("%s: %s, ", path.c_str(), name_of(dump.kind));
    if (!report.intact())
      std::printf("DAMAGED: %s%" PRIu64 " of %" PRIu64 " pages, %" PRIu64 " other part%s",
                  report.more_damage ? "at least " : "", report.damaged, report.kept,
                  report.damaged_parts, report.damaged_parts == 1 ? "" : "s");
    else if (!report.whole())
      std::printf("incomplete: %" PRIu64 " of %" PRIu64 " pages are there, and intact",
                  report.there, report.kept);
    else
      std::printf("intact: %" PRIu64 " pages", report.kept);
    if (report.unchecked > 0)
      std::printf("; no checksum speaks for %" PRIu64 " pages", report.unchecked);
    std::printf("\n");
  }

 private:
  static void add(const std::string& line, uint64_t& count) {
    if (count++ < kMaxLines) std::printf("%s\n", line.c_str());
  }
  static void tell_rest(uint64_t count, const char* what) {
    if (count > kMaxLines) std::printf("and %" PRIu64 " more %s\n", count - kMaxLines, what);
  }

  uint64_t parts_ = 0;
  uint64_t ranges_ = 0;
};

class JsonOutput {
 public:
  [[nodiscard]] VerifyEvents events() {
    return {.part = [this](const DamagedPart& damage) { add(damage); },
            .pages = [this](const DamagedPages& damage) { add(damage); },
            .note = [this](const char* text) { notes_.add(JsonObject().add("text", text)); }};
  }

  void finish(const std::string& path, const VerifiedDump& dump) const {
    const VerifyReport& report = dump.report;
    JsonObject pages;
    pages.add("kept", report.kept)
        .add("there", report.there)
        .add("missing", report.missing)
        .add("damaged", report.damaged)
        .add("unchecked", report.unchecked);
    const char* state = !report.intact() ? "damaged" : report.whole() ? "intact" : "incomplete";
    JsonObject object;
    object.add("path", path)
        .add("kind", name_of(dump.kind))
        .add("state", state)
        .add("checksum_list", report.has_list)
        .add("pages", pages)
        .add("more_damage", report.more_damage)
        .add("damaged_parts_count", report.damaged_parts)
        .add("damaged_ranges_count", range_count_)
        .add("damaged_parts", parts_)
        .add("damaged_ranges", ranges_)
        .add("notes", notes_);
    std::printf("%s\n", object.text().c_str());
  }

 private:
  void add(const DamagedPart& damage) {
    if (part_count_++ >= kMaxLines) return;
    parts_.add(JsonObject()
                   .add("file", damage.in_list ? "list" : "dump")
                   .add("part", damage.part)
                   .add("what", damage.what)
                   .add("begin", damage.begin)
                   .add("end", damage.end));
  }
  void add(const DamagedPages& damage) {
    if (range_count_++ >= kMaxLines) return;
    ranges_.add(JsonObject()
                    .add("first_pfn", damage.first_pfn)
                    .add("last_pfn", damage.last_pfn)
                    .add("pages", damage.pages)
                    .add("what", text_of(damage.damage))
                    .add("begin", damage.begin)
                    .add("end", damage.end));
  }

  uint64_t part_count_ = 0;
  uint64_t range_count_ = 0;
  JsonArray parts_;
  JsonArray ranges_;
  JsonArray notes_;
};

template <typename Output>
Result<int> verify_into(Output output, NamedDump dump, unsigned threads) {
  std::string path = dump.path;
  VerifyFiles files;
  files.named_whole = dump.named_whole();
  Result<ReadableFile> list = dump.open_beside(kSumsName);
  if (!list.ok() && list.error().errno_value() != ENOENT) return list.error();
  if (list.ok()) files.list = std::move(*list);
  files.dump = std::move(dump.file);
  VerifyOptions how{.threads = threads};
  Result<VerifiedDump> verified = verify_named(std::move(files), how, output.events());
  if (!verified.ok()) {
    Error error = verified.error();
    return error.subject().empty() ? error.on(path) : error;
  }
  output.finish(path, *verified);
  if (!verified->report.intact()) return kExitNothing;
  return verified->report.whole() ? kExitComplete : kExitIncomplete;
}

Result<int> run(const VerifyCommandOptions& options) {
  DW_ASSIGN(NamedDump dump, open_named_dump(options.dump));
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  unsigned threads = std::min(asked, Pipeline::kMaxThreads);
  if (options.json) return verify_into(JsonOutput(), std::move(dump), threads);
  return verify_into(TextOutput(), std::move(dump), threads);
}

}  // namespace

int verify_command(std::span<const char* const> arguments) {
  Result<VerifyCommandOptions> options = parse_verify_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<int> status = run(*options);
  if (status.ok()) return *status;
  print_error(status.error());
  return exit_status_of(status.error());
}

}  // namespace dw
