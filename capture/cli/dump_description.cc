#include "capture/cli/dump_description.h"

#include "capture/plan/presence.h"

namespace dw {

namespace {

KdumpDescription describe_kdump(const Vmcore& vmcore, const CrashFacts& facts, int dump_level) {
  KdumpDescription description;
  description.utsname = facts.utsname;
  description.crash_seconds = facts.crash_seconds;
  description.phys_base = facts.phys_base;
  description.cpu_count = facts.notes.cpu_count;
  description.dump_level = dump_level;
  description.notes = vmcore.headers().notes;
  description.vmcoreinfo_offset = facts.notes.vmcoreinfo_offset;
  description.vmcoreinfo_size = facts.notes.vmcoreinfo_size;
  description.max_mapnr = vmcore.memory().end_pfn();
  description.ram_pages = vmcore.memory().page_count();
  return description;
}

}  // namespace

DumpDescription describe_dump(const Vmcore& vmcore, const CrashFacts& facts, int dump_level) {
  return {.kdump = describe_kdump(vmcore, facts, dump_level),
          .elf = {.machine = vmcore.headers().machine,
                  .notes = vmcore.headers().notes,
                  .segments = vmcore.headers().segments,
                  .ranges = vmcore.memory().pfn_ranges()},
          .presence = [&vmcore](uint64_t first_pfn, MutableBytes bits) -> Status {
            present_bits(vmcore.memory(), first_pfn, bits);
            return {};
          }};
}

}  // namespace dw
