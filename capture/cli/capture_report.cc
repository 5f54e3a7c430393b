#include "capture/cli/capture_report.h"

#include <cerrno>
#include <cinttypes>
#include <span>

#include "capture/report/message.h"

namespace dw {

JsonObject counts_json(const ClassCounts& counts) {
  JsonObject classes;
  for (size_t i = 0; i < kPageClassCount; ++i) {
    auto page_class = static_cast<PageClass>(i);
    // Zero pages are found while copying; they stand in the report of the dump.
    if (page_class != PageClass::kZero) classes.add(name_of(page_class), counts.of(page_class));
  }
  JsonObject unknown;
  for (size_t i = 0; i < kUnknownReasonCount; ++i) {
    auto reason = static_cast<UnknownReason>(i);
    if (counts.of(reason) > 0) unknown.add(name_of(reason), counts.of(reason));
  }
  JsonObject object;
  object.add("ram", counts.total())
      .add("kept", counts.kept)
      .add("classes", classes)
      .add("undecided", unknown);
  return object;
}

FailedTarget failed_target(const std::string& target, const Error& error) {
  char why[240];
  error.format(why, sizeof(why));
  return {.target = target, .why = why};
}

namespace {

void add_crash(JsonObject& object, const CrashFacts& facts) {
  object.add("release", facts.utsname.release)
      .add("build_id", facts.vmcoreinfo.build_id().value_or(""))
      .add("nodename", facts.utsname.nodename)
      .add("crash_time", iso_time(facts.crash_seconds));
  if (facts.log.missing.empty())
    object.add("dmesg_bytes", facts.log.bytes);
  else
    object.add("dmesg_missing", facts.log.missing);
  if (facts.log.damaged > 0) object.add("dmesg_damaged", facts.log.damaged);
}

void add_failed(JsonObject& object, std::span<const FailedTarget> failed) {
  if (failed.empty()) return;
  JsonArray array;
  for (const FailedTarget& target : failed) {
    JsonObject one;
    one.add("target", target.target).add("why", target.why);
    array.add(one);
  }
  object.add("failed_targets", array);
}

}  // namespace

std::string announcement_text(const CrashFacts& facts, const char* state,
                              const std::string& saved_to, std::span<const FailedTarget> failed) {
  JsonObject object;
  object.add("state", state);
  if (!saved_to.empty()) object.add("saved_to", saved_to);
  add_crash(object, facts);
  add_failed(object, failed);
  return object.text() + "\n";
}

std::string report_text(const Saving& saving, int dump_level, const CrashFacts& facts,
                        const ClassCounts& counts, const CaptureReport& report) {
  JsonObject saved;
  saved.add("stored", report.pages.stored)
      .add("shared", report.pages.shared)
      .add("zero", report.pages.zero)
      .add("missing", report.pages.missing);
  JsonObject object;
  object.add("state", report.state);
  add_crash(object, facts);
  object.add("dump_level", dump_level)
      .add("format", name_of(saving.format))
      .add("compression", name_of(saving.compression.compression))
      .add("compression_level", saving.compression.level)
      .add("pages", counts_json(counts))
      .add("saved_pages", saved)
      .add("bytes", report.bytes)
      .add("elapsed_ms", report.elapsed_ms);
  if (!report.durable) object.add("durable", false);
  if (!report.replaces_safely) object.add("replaces_safely", false);
  add_failed(object, report.failed);
  return object.text() + "\n";
}

Status say_complete(DumpStore& store, const std::string& name) {
  Result<std::unique_ptr<ByteSource>> file = store.open_file(name, kReportName);
  if (!file.ok()) return file.error().errno_value() == ENOENT ? Status() : file.error();
  DW_ASSIGN(std::unique_ptr<ByteReader> reader, (*file)->open_reader());
  std::string text(kReportBytes, '\0');
  DW_ASSIGN(size_t size, reader->read_up_to(std::as_writable_bytes(std::span(text)), 0));
  text.resize(size);
  constexpr std::string_view kSaving = "\"saving\"";
  size_t at = text.find(kSaving);
  if (at == std::string::npos) return {};
  text.replace(at, kSaving.size(), "\"complete\"");
  return store.put_file(name, kReportName, std::as_bytes(std::span(text)));
}

void print_gaps(const VmcoreLayout& layout) {
  for (const LayoutGap& gap : layout.gaps)
    print_message("warning: VMCOREINFO: %s is missing: %s", gap.key, gap.consequence);
  if (!layout.usable())
    print_message("warning: this kernel's pages cannot be judged: all but zero pages are kept");
}

void print_unknown(const ClassCounts& counts) {
  for (size_t i = 0; i < kUnknownReasonCount; ++i) {
    auto reason = static_cast<UnknownReason>(i);
    if (counts.of(reason) > 0)
      print_message("%" PRIu64 " pages are kept undecided: %s", counts.of(reason), name_of(reason));
  }
}

}  // namespace dw
