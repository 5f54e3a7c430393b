// A dump of any content beside a list of checksums of any content: verified.
//
// The input is the length of the dump (u32), the dump, and the list.
#include <algorithm>
#include <cstring>

#include "capture/verify/list_summary.h"
#include "capture/verify/verify.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;
using dw::fuzz::memory_file;
using dw::fuzz::require;

void check_list(const uint8_t* data, size_t size) {
  Fd fd = memory_file(data, size);
  Result<ListSummary> list = summarize_list(fd.get());
  if (!list.ok()) return;
  require(list->size == size && list->damaged_at.value_or(0) <= size);
  require(list->batches <= size / sizeof(JournalRecord));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t length = 0;
  if (size < sizeof(length)) return 0;
  std::memcpy(&length, data, sizeof(length));
  data += sizeof(length);
  size -= sizeof(length);
  size_t dump = std::min<size_t>(length, size);
  check_list(data + dump, size - dump);
  for (bool named_whole : {false, true}) {
    uint64_t told = 0;
    VerifyEvents events;
    events.pages = [&](const DamagedPages& pages) { told += pages.pages; };
    VerifyFiles files{.dump = memory_file(data, dump),
                      .list = memory_file(data + dump, size - dump),
                      .named_whole = named_whole};
    Result<VerifiedDump> verified = verify_files(std::move(files), {.threads = 1}, events);
    if (!verified.ok()) continue;
    const VerifyReport& report = verified->report;
    require(told == report.damaged);
    require(report.damaged + report.there + report.missing == report.kept);
  }
  return 0;
}
