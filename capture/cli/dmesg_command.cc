#include "capture/cli/dmesg_command.h"

#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "capture/cli/dump_path.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/format/dump_physical_memory.h"
#include "capture/format/dump_segments.h"
#include "capture/format/dump_source.h"
#include "capture/kernel/log/kernel_log.h"
#include "capture/report/message.h"
#include "capture/target/output_file.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright dmesg VMCORE|DUMP [FILE|-]\n"
    "Prints the crashed kernel's log, or writes it to FILE, which must not exist. VMCORE|DUMP:\n"
    "/proc/vmcore, a dump of any format, the directory of one, or raw:/dev/X. The text is that of\n"
    "makedumpfile --dump-dmesg.\n"
    "Exit status: 0 all of the log, 1 there is none, or it cannot be written, 2 usage, 3 part of\n"
    "the log is damaged or not in the dump; the last line of the text says so.\n";

struct DmesgOptions {
  std::string input;
  std::string output = "-";
  bool help = false;
};

Result<DmesgOptions> parse(std::span<const char* const> arguments) {
  DmesgOptions options;
  unsigned files = 0;
  for (std::string_view argument : arguments) {
    if (argument == "--help" || argument == "-h")
      options.help = true;
    else if (argument.starts_with('-') && argument != "-")
      return Error(ErrorKind::kUsage, "no such option")
          .on(argument)
          .hint("see dumpwright dmesg --help");
    else
      (files++ == 0 ? options.input : options.output) = argument;
  }
  if (options.help || ((files == 1 || files == 2) && options.input != "-" &&
                       !options.input.empty() && !options.output.empty()))
    return options;
  return Error(ErrorKind::kUsage, "name the vmcore or dump, and perhaps a file to write")
      .hint("see dumpwright dmesg --help");
}

Result<KernelLogSummary> log_of_dump(ReadableFile file, const TextSink& sink) {
  DW_ASSIGN(OpenDump dump, open_dump(std::move(file)));
  Vmcoreinfo info(dump.file->vmcoreinfo());
  ElfHeaders headers;
  headers.machine = machine_of(*dump.file);
  DW_ASSIGN(TranslationLayout translation, find_log_translation(info, headers));
  DW_ASSIGN(std::unique_ptr<PhysicalMemory> tables, DumpPhysicalMemory::create(dump.file));
  DW_ASSIGN(std::unique_ptr<PhysicalMemory> data, DumpPhysicalMemory::create(dump.file));
  KernelMemory memory(std::move(tables), std::move(data), translation);
  return write_kernel_log(info, memory, sink);
}

Result<KernelLogSummary> log_of(ReadableFile file, const TextSink& sink) {
  DW_ASSIGN(DumpKind kind, dump_kind(file.get()));
  bool dump = kind != DumpKind::kElf && kind != DumpKind::kUnknown;
  if (dump) return log_of_dump(std::move(file), sink);
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(std::move(file)));
  return write_kernel_log(vmcore, sink);
}

// Errors of `sink` name what they are about themselves.
Result<KernelLogSummary> copy_log(NamedDump dump, const TextSink& sink) {
  bool refused = false;
  Result<KernelLogSummary> log = log_of(std::move(dump.file), [&](Bytes text) -> Status {
    Status taken = sink(text);
    refused = !taken.ok();
    return taken;
  });
  if (log.ok() || refused) return log;
  Error error = log.error();
  return error.subject().empty() ? error.on(dump.path) : error;
}

// Its text has no control characters but white space: a terminal will do.
Status print_text(Bytes text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return {};
  return Error::from_errno("cannot write").on("standard output");
}

Result<KernelLogSummary> copy_log(const DmesgOptions& options) {
  DW_ASSIGN(NamedDump dump, open_named_dump(options.input));
  if (options.output == "-") return copy_log(std::move(dump), print_text);
  DW_ASSIGN(OutputFile target, OutputFile::create(options.output, true));
  uint64_t at = 0;
  DW_ASSIGN(KernelLogSummary log, copy_log(std::move(dump), [&](Bytes text) {
              return target.write_at(std::exchange(at, at + text.size()), text);
            }));
  DW_TRY(target.commit());
  return log;
}

}  // namespace

int dmesg_command(std::span<const char* const> arguments) {
  Result<DmesgOptions> options = parse(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<KernelLogSummary> log = copy_log(*options);
  if (!log.ok()) {
    print_error(log.error());
    return exit_status_of(log.error());
  }
  if (log->damaged == 0) return kExitComplete;
  print_message("warning: %s: %" PRIu64 " places of the log cannot be read", options->input.c_str(),
                log->damaged);
  return kExitIncomplete;
}

}  // namespace dw
