#include "capture/cli/convert_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>

#include "capture/base/system.h"
#include "capture/cli/convert_input.h"
#include "capture/cli/convert_options.h"
#include "capture/cli/dump_path.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/take_off.h"
#include "capture/pipeline/pipeline.h"
#include "capture/report/message.h"
#include "capture/target/output_file.h"
#include "capture/target/pipe_target.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright convert [OPTION...] IN OUT\n"
    "Writes the dump IN once more, in another format or compression.\n"
    "\n"
    "IN is a dump of any format or its directory, or - for a flattened dump or a stream on "
    "standard\n"
    "input, or raw:/dev/X: without --format and --compress that dump is copied as it is, and OUT "
    "may\n"
    "be a directory, which gets the dump's folder. Else OUT is a file that does not exist yet, or "
    "- for a stream or a flattened dump on\n"
    "standard output. OUT gets its name only when it is whole.\n"
    "\n"
    "  --format FORMAT       kdump (default), stream (default for -), elf or flattened\n"
    "  --compress METHOD     zstd (default), zlib, lz4 (stream only), each with :LEVEL or "
    "without,\n"
    "                        or none\n"
    "  --threads N           default: one for each CPU, fewer if memory is short\n"
    "  --memory-limit BYTES  K, M or G may follow; default: half of what is available\n"
    "  --progress MODE       auto, plain, json or none\n"
    "\n"
    "Which pages are in the dump does not change; of an ELF vmcore every page is kept. To leave\n"
    "pages out of one, use dumpwright capture --source VMCORE.\n"
    "\n"
    "A damaged page is an error, and nothing is written. Of a dump that is incomplete or was cut\n"
    "off, OUT has what is there and is marked as incomplete.\n"
    "\n"
    "Exit status: 0 converted, 1 nothing written, 2 usage, 3 written but incomplete.\n";

Error on_file(const Error& error, const std::string& path) {
  Error told = error;
  std::string subject(error.subject());
  // A page is named within its file; other subjects are files themselves.
  if (subject.empty()) return told.on(path);
  return subject.starts_with("pfn ") ? told.on(path + ": " + subject) : told;
}

struct Conversion {
  const ConvertOptions& options;
  ConvertInput& input;
  WriterOptions writer;
  DumpDescription description;
};

std::string folder_of(const std::string& path) {
  if (path == "-") return "/var/tmp";
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

CodingOptions coding_of(const Conversion& conversion) {
  // A zero page reads the same wherever its zeros stand.
  CodingOptions coding = coding_for(conversion.writer, true);
  if (can_share_pages(conversion.writer.format)) {
    coding.share_duplicates = true;
    coding.hash_seed = hash_seed_of(conversion.description.kdump.notes);
  }
  return coding;
}

Result<PipelineOptions> size_pipeline(const Conversion& conversion) {
  const ConvertOptions& options = conversion.options;
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  PipelineOptions pipeline{.threads = std::min(asked, Pipeline::kMaxThreads),
                           .coding = coding_of(conversion)};
  PipelineOptions none{.threads = 0, .coding = pipeline.coding};
  PipelineOptions one{.threads = 1, .coding = pipeline.coding};
  uint64_t page_size = conversion.writer.page_size;
  uint64_t shared = Pipeline::memory_bytes(none, page_size);
  MemoryNeeds needs = conversion.input.memory_needs(!keeps_bitmap(options.format));
  needs.fixed += kProgramBytes + writer_memory_bytes(conversion.writer) + shared;
  needs.per_thread += Pipeline::memory_bytes(one, page_size) - shared;
  uint64_t limit = options.memory_limit;
  if (limit == 0) limit = available_memory_bytes().value_or(UINT64_MAX) / 2;
  DW_ASSIGN(pipeline.threads, threads_that_fit(needs, pipeline.threads, limit));
  return pipeline;
}

// An output that is a dump which nobody vouches for must not be left behind.
Status check_outcome(const Conversion& conversion, const PageCounts& counts) {
  if (counts.changed_chunks > 0)
    return Error(ErrorKind::kIo, "the dump changed while it was read")
        .on(conversion.options.input)
        .hint("convert it when nobody writes to it");
  if (counts.missing > 0 && counts.readable() == 0)
    return Error(ErrorKind::kBadInput, "not one page of this dump is there")
        .on(conversion.options.input)
        .hint("it was cut off before its first page");
  if (counts.missing > 0 && conversion.options.format == DumpFormat::kElf)
    return Error(ErrorKind::kUnsupported, "pages are missing, which an ELF core cannot say")
        .on(conversion.options.input)
        .hint("use --format kdump or stream");
  return {};
}

void tell_missing(const Conversion& conversion, const PageCounts& counts) {
  const std::string& in = conversion.options.input;
  if (std::optional<uint64_t> cut = conversion.input.cut_at())
    print_message("warning: %s was cut at offset 0x%" PRIx64, in.c_str(), *cut);
  if (counts.missing > 0)
    print_message("warning: %" PRIu64 " of %" PRIu64 " pages are missing in %s", counts.missing,
                  counts.total(), in.c_str());
  else
    print_message("warning: %s is marked as incomplete", in.c_str());
}

// Returns the counts; errors of the input name it.
Result<PageCounts> copy_pages(const Conversion& conversion, Pipeline& pipeline, DumpWriter& writer,
                              const Plan& plan) {
  PageCounts counts;
  Progress progress(conversion.options.progress, plan.kept_pages());
  PlannedBits planned_bits;
  if (writer.keeps_bitmap()) {
    planned_bits = [&](uint64_t first_pfn) -> Result<ChunkBits> {
      ChunkBits bits;
      DW_TRY(writer.read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
      return bits;
    };
  }
  auto consume = [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
    if (std::optional<Error> damage = conversion.input.damage())
      return on_file(*damage, conversion.options.input);
    if (output.error()) return *output.error();
    counts += output.counts();
    DW_ASSIGN(uint64_t offset, writer.append(batch, output));
    progress.update(counts.total(), writer.bytes_written());
    return offset;
  };
  DW_TRY(pipeline.run(plan, planned_bits, consume));
  DW_TRY(check_outcome(conversion, counts));
  bool complete = counts.missing == 0 && !conversion.input.incomplete();
  DW_TRY(writer.finish(complete));
  print_message("%s: %" PRIu64 " pages, %.1f MiB in %.1f s", conversion.options.output.c_str(),
                counts.readable(), static_cast<double>(writer.bytes_written()) / (1 << 20),
                static_cast<double>(progress.elapsed_ms()) / 1000);
  return counts;
}

Result<PageCounts> convert_to(const Conversion& conversion, Target& target) {
  DW_ASSIGN(PipelineOptions sizes, size_pipeline(conversion));
  DW_ASSIGN(Pipeline pipeline,
            Pipeline::create(conversion.input.sources(), sizes, conversion.writer.page_size));
  DW_ASSIGN(std::unique_ptr<DumpWriter> writer,
            make_dump_writer(conversion.writer, conversion.description, target));
  auto bitmaps = [&](uint64_t first_pfn, Bytes present, Bytes kept) {
    return writer->write_bitmaps(first_pfn, present, kept);
  };
  PassOneOptions pass{.in_order = writer->wants_windows_in_order(),
                      .with_digests = !writer->keeps_bitmap()};
  DW_ASSIGN(Plan plan, conversion.input.plan(bitmaps, pass, sizes.threads));
  DW_TRY(writer->begin(plan));
  DW_TRY(writer->publish());
  return copy_pages(conversion, pipeline, *writer, plan);
}

Result<PageCounts> convert_to_output(const Conversion& conversion) {
  if (conversion.options.output == "-") {
    DW_ASSIGN(PipeTarget target, PipeTarget::open_stdout());
    return convert_to(conversion, target);
  }
  bool rewritable = conversion.options.format != DumpFormat::kFlattened;
  DW_ASSIGN(OutputFile target, OutputFile::create(conversion.options.output, rewritable));
  DW_ASSIGN(PageCounts counts, convert_to(conversion, target));
  DW_TRY(target.commit());
  return counts;
}

// Before anything is read; creating the file looks again.
Status check_output(const std::string& output) {
  struct stat status;
  if (output == "-" || ::lstat(output.c_str(), &status) != 0) return {};
  return Error::from_errno("the file exists", EEXIST)
      .on(output)
      .hint("name another one, or remove it");
}

Result<int> run(ConvertOptions options) {
  if (is_raw_argument(options.input) && options.as_it_is && options.output != "-") {
    DW_ASSIGN(RawContents raw, open_raw_argument(options.input));
    return take_off(raw, options.output);
  }
  NamedDump dump;
  if (options.input != "-") {
    DW_ASSIGN(dump, open_named_dump(options.input));
    options.input = dump.path;
  }
  DW_TRY(check_output(options.output));
  Result<std::unique_ptr<ConvertInput>> input = options.input == "-"
                                                    ? open_convert_stdin(folder_of(options.output))
                                                    : open_convert_input(std::move(dump.file));
  if (!input.ok()) return on_file(input.error(), options.input);
  Status verified = (*input)->verify();
  if (!verified.ok()) return on_file(verified.error(), options.input);
  Conversion conversion{.options = options,
                        .input = **input,
                        .writer = {.format = options.format,
                                   .compression = options.compression,
                                   .page_size = (*input)->page_size()},
                        .description = (*input)->description()};
  Result<PageCounts> counts = convert_to_output(conversion);
  if (!counts.ok()) return on_file(counts.error(), options.input);
  if (counts->missing == 0 && !(*input)->incomplete()) {
    if (dump.raw && options.output != "-") mark_taken_off(*dump.raw);
    return kExitComplete;
  }
  tell_missing(conversion, *counts);
  return kExitIncomplete;
}

}  // namespace

int convert_command(std::span<const char* const> arguments) {
  Result<ConvertOptions> options = parse_convert_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<int> status = run(std::move(*options));
  if (status.ok()) return *status;
  print_error(status.error());
  return exit_status_of(status.error());
}

}  // namespace dw
