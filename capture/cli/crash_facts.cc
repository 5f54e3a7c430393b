#include "capture/cli/crash_facts.h"

#include <time.h>

#include <limits>

#include "capture/base/check.h"

namespace dw {

namespace {

constexpr size_t kMaxHost = 64;
constexpr int64_t kEndOfYear9999 = 253402300799;

std::string format_time(int64_t seconds, const char* format) {
  // No crash happened before 1970 or after 9999: the vmcore is damaged there.
  bool plausible = seconds >= 0 && seconds <= kEndOfYear9999;
  time_t time = plausible ? static_cast<time_t>(seconds) : 0;
  tm parts{};
  DW_CHECK(::gmtime_r(&time, &parts) != nullptr);
  char text[64];
  size_t n = ::strftime(text, sizeof(text), format, &parts);
  return {text, n};
}

bool is_plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-';
}

std::string host_part(std::string_view nodename) {
  std::string host(nodename);
  for (char& c : host)
    if (!is_plain(c)) c = '-';
  // A name that begins with '-' is taken for an option, one that begins with '.' is hidden.
  constexpr const char* kEdges = "-.";
  size_t begin = host.find_first_not_of(kEdges);
  if (begin == std::string::npos) return "unknown";
  host = host.substr(begin, kMaxHost);
  return host.substr(0, host.find_last_not_of(kEdges) + 1);
}

}  // namespace

CrashFacts read_crash_facts(const Vmcore& vmcore) {
  CrashFacts facts;
  const auto& notes = vmcore.headers().notes;
  facts.notes = summarize_notes(notes);
  facts.vmcoreinfo = vmcoreinfo_in(notes);
  facts.utsname = read_utsname(vmcore, facts.vmcoreinfo);
  facts.phys_base = phys_base(vmcore.headers(), facts.vmcoreinfo);
  uint64_t time = facts.vmcoreinfo.crash_time().value_or(0);
  if (time <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    facts.crash_seconds = static_cast<int64_t>(time);
  return facts;
}

std::string dump_name(const CrashFacts& facts, const std::string& hostname) {
  return host_part(hostname.empty() ? facts.utsname.nodename : hostname) + "-" +
         format_time(facts.crash_seconds, "%Y%m%dT%H%M%SZ");
}

std::string iso_time(int64_t seconds) { return format_time(seconds, "%Y-%m-%dT%H:%M:%SZ"); }

}  // namespace dw
