#include "capture/cli/info_command.h"

#include <fcntl.h>

#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "capture/base/system.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/config.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/dump_path.h"
#include "capture/cli/exit_status.h"
#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/plan/pass_one.h"
#include "capture/report/json.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"
#include "capture/target/sums_file.h"
#include "capture/verify/list_summary.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright info [--json] FILE\n"
    "Tells what FILE is: a vmcore, a dump of any format, the directory of one, or raw:/dev/X. "
    "Damage that\n"
    "only reading every page would show is not looked for.\n"
    "Exit status: 0 told, 1 the file cannot be read, 2 usage.\n";

// Strings of a header are 65 bytes, terminated or not.
template <size_t N>
std::string_view text_of(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

void print_field(const char* name, std::string value) {
  replace_control_characters(value);
  std::printf("  %-11s %s\n", name, value.c_str());
}

std::string pages_text(uint64_t pages, uint64_t page_size) {
  char text[80];
  std::snprintf(text, sizeof(text), "%" PRIu64 " (%.1f MiB)", pages,
                static_cast<double>(pages * page_size) / (1 << 20));
  return text;
}

std::string time_text(int64_t seconds) { return seconds == 0 ? "unknown" : iso_time(seconds); }

std::string compression_of(const KdumpHeader& header) {
  if ((header.status & kPageZstd) != 0) return "zstd";
  if ((header.status & kPageSnappy) != 0) return "snappy";
  if ((header.status & kPageLzo) != 0) return "lzo";
  if ((header.status & kPageZlib) != 0) return "zlib";
  return "none";
}

const char* title_of(DumpKind kind) {
  switch (kind) {
    case DumpKind::kFlattened:
      return "flattened kdump file";
    case DumpKind::kZstdStream:
      return "zstd stream of a kdump file";
    case DumpKind::kLz4Stream:
      return "LZ4 stream of a kdump file";
    default:
      return "kdump file";
  }
}

// Of a stream, that of its frames.
std::string compression_of(DumpKind kind, const KdumpHeader& header) {
  if (kind == DumpKind::kZstdStream) return "zstd";
  if (kind == DumpKind::kLz4Stream) return "lz4";
  return compression_of(header);
}

bool is_stream(DumpKind kind) {
  return kind == DumpKind::kZstdStream || kind == DumpKind::kLz4Stream;
}

// In a stream every page has a place of its own, the first one too.
void count_slots(KdumpSummary& summary, uint64_t page_size) {
  summary.stored += std::exchange(summary.shared, 0);
  summary.stored_bytes = summary.stored * page_size;
}

void print_cut(const ByteSource& source) {
  if (!source.cut_at()) return;
  char text[80];
  std::snprintf(text, sizeof(text), "at offset 0x%" PRIx64 "; what should follow is missing",
                *source.cut_at());
  print_field("CUT", text);
}

// What the list of checksums beside a dump says of it; nothing if there is none of this dump.
std::optional<ListSummary> list_of(const NamedDump& dump) {
  Result<ReadableFile> file = dump.open_beside(kSumsName);
  if (!file.ok()) return std::nullopt;
  Result<ListSummary> list = summarize_list(file->get());
  if (!list.ok() || !is_list_of(dump.file.get(), *list)) return std::nullopt;
  return *list;
}

void print_partition(const NamedDump& dump) {
  if (!dump.raw) return;
  print_field("partition", dump.raw->superblock().taken_off
                               ? "taken off: the next crash is written over it"
                               : "not taken off yet (dumpwright convert does that)");
}

std::string share_text(uint64_t part, uint64_t whole) {
  double percent = whole == 0 ? 100 : 100 * static_cast<double>(part) / static_cast<double>(whole);
  char text[80];
  std::snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " (%.1f %%)", part, whole, percent);
  return text;
}

void print_list(const std::optional<ListSummary>& list) {
  if (!list) return;
  std::string text = "for " + share_text(list->pages.readable(), list->planned_pages()) +
                     " pages, " + std::to_string(list->batches) + " of " +
                     std::to_string(list->planned_batches()) + " batches, " +
                     std::to_string(list->data_end) + " bytes; ";
  text += list->damaged() ? "DAMAGED" : list->file_bytes ? "ended" : "not ended";
  print_field("checksums", text);
}

JsonObject list_json(const ListSummary& list) {
  JsonObject object;
  object.add("planned_pages", list.planned_pages())
      .add("pages", list.pages.readable())
      .add("planned_batches", list.planned_batches())
      .add("batches", list.batches)
      .add("bytes", list.data_end)
      .add("ended", list.file_bytes.has_value())
      .add("damaged", list.damaged());
  return object;
}

void print_kdump_text(const std::string& path, DumpKind kind, const KdumpReader& reader,
                      const KdumpSummary& summary) {
  const KdumpHeader& header = reader.header();
  uint64_t page_size = reader.layout().block_size;
  std::printf("%s: %s, version %d, %s\n", path.c_str(), title_of(kind), header.version,
              reader.incomplete() ? "INCOMPLETE" : "complete");
  print_cut(reader.file()->source());
  print_field("kernel", std::string(text_of(header.utsname.sysname)) + " " +
                            std::string(text_of(header.utsname.release)) + " " +
                            std::string(text_of(header.utsname.machine)));
  print_field("host", std::string(text_of(header.utsname.nodename)));
  print_field("crashed", time_text(header.seconds));
  print_field("dump level", std::to_string(reader.sub_header().dump_level) + ", compression " +
                                compression_of(kind, header));
  print_field("RAM", pages_text(summary.ram, page_size));
  print_field("kept", pages_text(summary.kept, page_size));
  print_field("stored", std::to_string(summary.stored) + " pages in " +
                            std::to_string(summary.stored_bytes) + " bytes");
  if (!is_stream(kind)) print_field("zero", pages_text(summary.shared, page_size));
  print_field("missing", pages_text(summary.missing, page_size));
  print_field("there", share_text(summary.stored + summary.shared, summary.kept));
  if (summary.damaged > 0) print_field("DAMAGED", pages_text(summary.damaged, page_size));
  print_field("CPUs", std::to_string(header.cpu_count));
  print_field("VMCOREINFO", std::to_string(reader.vmcoreinfo().size()) + " bytes");
}

const char* json_kind_of(DumpKind kind) {
  if (kind == DumpKind::kFlattened) return "flattened";
  return kind == DumpKind::kKdump ? "kdump" : "stream";
}

JsonObject kdump_json(const std::string& path, DumpKind kind, const KdumpReader& reader,
                      const KdumpSummary& summary) {
  const KdumpHeader& header = reader.header();
  JsonObject pages;
  pages.add("ram", summary.ram)
      .add("kept", summary.kept)
      .add("excluded", summary.ram - std::min(summary.ram, summary.kept))
      .add("stored", summary.stored)
      .add("zero", summary.shared)
      .add("missing", summary.missing)
      .add("damaged", summary.damaged);
  JsonObject object;
  object.add("path", path)
      .add("kind", json_kind_of(kind))
      .add("complete", !reader.incomplete())
      .add("release", text_of(header.utsname.release))
      .add("machine", text_of(header.utsname.machine))
      .add("nodename", text_of(header.utsname.nodename))
      .add("crash_time", time_text(header.seconds))
      .add("dump_level", reader.sub_header().dump_level)
      .add("compression", compression_of(kind, header))
      .add("page_size", reader.layout().block_size)
      .add("pages", pages)
      .add("stored_bytes", summary.stored_bytes)
      .add("cpus", header.cpu_count)
      .add("vmcoreinfo_bytes", uint64_t{reader.vmcoreinfo().size()});
  if (std::optional<uint64_t> cut = reader.file()->source().cut_at()) object.add("cut_at", *cut);
  return object;
}

// vmcore.json beside the dump: the capture's own report, with the pages by class. Empty if there is
// none, or if it is not the one line that a capture writes.
std::string report_beside(const NamedDump& dump) {
  Result<ReadableFile> file = dump.open_beside(kReportName);
  if (!file.ok()) return {};
  std::string text(kReportBytes, '\0');
  Result<size_t> size = read_up_to_at(file->get(), std::as_writable_bytes(std::span(text)), 0);
  if (!size.ok()) return {};
  text.resize(*size);
  bool one_line =
      text.starts_with('{') && text.ends_with("}\n") && text.find('\n') == text.size() - 1;
  return one_line ? text.substr(0, text.size() - 1) : std::string();
}

Status show_kdump(NamedDump named, bool json) {
  const std::string& path = named.path;
  std::optional<ListSummary> list = list_of(named);
  DW_ASSIGN(OpenDump dump, open_dump(std::move(named.file)));
  DW_ASSIGN(KdumpReader reader, KdumpReader::create(dump.file));
  DW_ASSIGN(KdumpSummary summary, reader.summarize());
  if (is_stream(dump.kind)) count_slots(summary, reader.layout().block_size);
  if (json) {
    JsonObject object = kdump_json(path, dump.kind, reader, summary);
    if (list) object.add("checksums", list_json(*list));
    if (named.raw) object.add("taken_off", named.raw->superblock().taken_off);
    if (std::string report = report_beside(named); !report.empty())
      object.add_object_text("report", report);
    std::printf("%s\n", object.text().c_str());
  } else {
    print_kdump_text(path, dump.kind, reader, summary);
    print_list(list);
    print_partition(named);
  }
  return {};
}

// Judges every page, as a capture at the highest level would.
Result<ClassCounts> count_classes(const Vmcore& vmcore) {
  VmcoreLayout layout = find_layout(vmcore);
  DW_ASSIGN(PassOne pass, PassOne::create(vmcore, layout, kMaxDumpLevel, usable_cpus()));
  DW_ASSIGN(PassOneResult result, pass.run([](uint64_t, Bytes, Bytes) -> Status { return {}; }));
  return result.counts;
}

void print_classes(const ClassCounts& counts, uint64_t page_size) {
  for (size_t i = 0; i < kPageClassCount; ++i) {
    auto page_class = static_cast<PageClass>(i);
    if (page_class != PageClass::kZero)
      print_field(name_of(page_class), pages_text(counts.of(page_class), page_size));
  }
  for (size_t i = 0; i < kUnknownReasonCount; ++i) {
    auto reason = static_cast<UnknownReason>(i);
    if (counts.of(reason) > 0)
      print_field("undecided", pages_text(counts.of(reason), page_size) + ": " + name_of(reason));
  }
}

void print_vmcore_text(const std::string& path, const Vmcore& vmcore, const CrashFacts& facts,
                       const ClassCounts& counts) {
  std::printf("%s: ELF vmcore\n", path.c_str());
  print_field("kernel",
              std::string("Linux ") + facts.utsname.release + " " + facts.utsname.machine);
  print_field("host", facts.utsname.nodename);
  print_field("crashed", time_text(facts.crash_seconds));
  print_field("segments", std::to_string(vmcore.headers().segments.size()));
  print_field("RAM", pages_text(vmcore.memory().page_count(), vmcore.page_size()));
  print_classes(counts, vmcore.page_size());
  print_field("CPUs", std::to_string(facts.notes.cpu_count));
  print_field("VMCOREINFO", std::to_string(facts.vmcoreinfo.text().size()) + " bytes");
  if (facts.notes.damaged) print_field("DAMAGED", "the ELF notes");
}

JsonObject vmcore_json(const std::string& path, const Vmcore& vmcore, const CrashFacts& facts,
                       const ClassCounts& counts) {
  JsonObject object;
  object.add("path", path)
      .add("kind", "vmcore")
      .add("release", facts.utsname.release)
      .add("machine", facts.utsname.machine)
      .add("nodename", facts.utsname.nodename)
      .add("crash_time", time_text(facts.crash_seconds))
      .add("segments", uint64_t{vmcore.headers().segments.size()})
      .add("page_size", vmcore.page_size())
      .add("pages", counts_json(counts))
      .add("cpus", uint64_t{facts.notes.cpu_count})
      .add("vmcoreinfo_bytes", uint64_t{facts.vmcoreinfo.text().size()})
      .add("notes_damaged", facts.notes.damaged);
  return object;
}

Status show_vmcore(NamedDump named, bool json) {
  const std::string& path = named.path;
  std::optional<ListSummary> list = list_of(named);
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(std::move(named.file)));
  CrashFacts facts = read_crash_facts(vmcore);
  DW_ASSIGN(ClassCounts counts, count_classes(vmcore));
  if (json) {
    JsonObject object = vmcore_json(path, vmcore, facts, counts);
    if (list) object.add("checksums", list_json(*list));
    if (named.raw) object.add("taken_off", named.raw->superblock().taken_off);
    std::printf("%s\n", object.text().c_str());
  } else {
    print_vmcore_text(path, vmcore, facts, counts);
    print_list(list);
    print_partition(named);
  }
  return {};
}

Status show(const std::string& argument, bool json) {
  DW_ASSIGN(NamedDump dump, open_named_dump(argument));
  std::string path = dump.path;
  Result<DumpKind> kind = dump_kind(dump.file.get());
  if (!kind.ok()) {
    Error error = kind.error();
    return error.on(path);
  }
  // A vmcore tells best what is wrong with a file that is nothing else.
  bool vmcore = *kind == DumpKind::kElf || *kind == DumpKind::kUnknown;
  Status shown = vmcore ? show_vmcore(std::move(dump), json) : show_kdump(std::move(dump), json);
  if (shown.ok()) return shown;
  Error error = shown.error();
  return error.on(path);
}

}  // namespace

int info_command(std::span<const char* const> arguments) {
  bool json = false;
  std::string file;
  bool extra = false;
  for (std::string_view argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::fputs(kHelp, stdout);
      return kExitComplete;
    }
    if (argument == "--json") {
      json = true;
    } else if (argument.starts_with("-") || !file.empty()) {
      extra = true;
    } else {
      file = argument;
    }
  }
  if (extra || file.empty()) {
    std::fputs(kHelp, stderr);
    return kExitUsage;
  }
  Status shown = show(file, json);
  if (shown.ok()) return kExitComplete;
  print_error(shown.error());
  return exit_status_of(shown.error());
}

}  // namespace dw
