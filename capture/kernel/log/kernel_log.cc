#include "capture/kernel/log/kernel_log.h"

#include <cinttypes>
#include <cstdio>
#include <vector>

#include "capture/kernel/log/printk_ring.h"
#include "capture/kernel/log/record_log.h"

namespace dw {

namespace {

Error no_vmcoreinfo() {
  return {ErrorKind::kUnsupported, "no VMCOREINFO, which tells where the kernel's log is"};
}

Status note_damage(uint64_t damaged, LogText& text) {
  char line[100];
  std::snprintf(line, sizeof(line), "the log is damaged in %" PRIu64 " places: records are missing",
                damaged);
  return text.note(line);
}

template <typename Log>
Result<KernelLogSummary> write_log(Result<Log> log, const TextSink& sink) {
  if (!log.ok()) return log.error();
  DW_ASSIGN(LogText text, LogText::create(sink));
  DW_TRY(log->write(text));
  if (log->damaged() > 0) DW_TRY(note_damage(log->damaged(), text));
  DW_TRY(text.flush());
  return KernelLogSummary{
      .records = log->records(), .bytes = text.bytes(), .damaged = log->damaged()};
}

}  // namespace

Result<KernelLogSummary> write_kernel_log(const Vmcoreinfo& info, KernelMemory& memory,
                                          const TextSink& sink) {
  if (info.empty()) return no_vmcoreinfo();
  // The ring has a log_buf too.
  if (info.symbol("prb")) return write_log(PrintkRing::open(info, memory), sink);
  return write_log(RecordLog::open(info, memory), sink);
}

Result<TranslationLayout> find_log_translation(const Vmcoreinfo& info, const ElfHeaders& headers) {
  if (info.empty()) return no_vmcoreinfo();
  if (headers.machine != Machine::kX86_64)
    return Error(ErrorKind::kUnsupported, "the kernel's log is read on x86_64 only");
  std::vector<LayoutGap> gaps;
  TranslationLayout layout = find_translation(info, headers, gaps);
  if (layout.levels != 0) return layout;
  return Error(ErrorKind::kUnsupported, "VMCOREINFO does not say how to translate addresses")
      .on(gaps.empty() ? "" : gaps.front().key);
}

Result<KernelLogSummary> write_kernel_log(const Vmcore& vmcore, const TextSink& sink) {
  Vmcoreinfo info = vmcoreinfo_of(vmcore);
  DW_ASSIGN(TranslationLayout translation, find_log_translation(info, vmcore.headers()));
  KernelMemory memory(vmcore, translation);
  return write_kernel_log(info, memory, sink);
}

}  // namespace dw
