// What a vmcore says of the crash: read once, used by the plan, the headers and the dump's name.
//
// Thread safety: immutable. Ownership: refers to the Vmcore, which must outlive it.
#pragma once

#include <cstdint>
#include <string>

#include "capture/kernel/notes.h"
#include "capture/kernel/utsname.h"
#include "capture/kernel/vmcoreinfo.h"
#include "capture/source/vmcore.h"

namespace dw {

// The kernel's log, vmcore-dmesg.txt.
struct LogFacts {
  uint64_t bytes = 0;
  uint64_t damaged = 0;  // places that could not be read or made no sense
  std::string missing;   // why there is none; empty: there is
};

struct CrashFacts {
  NotesSummary notes;
  Vmcoreinfo vmcoreinfo;
  UtsName utsname{};
  uint64_t phys_base = 0;
  int64_t crash_seconds = 0;  // since 1970; 0 if the kernel did not say
  LogFacts log;               // of a capture
};

[[nodiscard]] CrashFacts read_crash_facts(const Vmcore& vmcore);

// HOST-YYYYMMDDTHHMMSSZ: the crashed kernel's nodename with anything but [A-Za-z0-9.-] replaced by
// '-', without '-' and '.' at its ends, at most 64 characters, "unknown" if nothing is left; then
// the time of the crash.
// `hostname`, if not empty, takes the nodename's place.
[[nodiscard]] std::string dump_name(const CrashFacts& facts, const std::string& hostname = {});
// The time alone, as in ISO 8601 (extended form).
[[nodiscard]] std::string iso_time(int64_t seconds);

}  // namespace dw
