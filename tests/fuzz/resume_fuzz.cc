// What an interrupted run may have left of a dump: a format, a journal and the dump's file. The
// checks of the journal are put right first, or nothing behind a changed record would be looked at.
#include <algorithm>
#include <utility>
#include <vector>

#include "capture/journal/journal_format.h"
#include "capture/target/memory_target.h"
#include "tests/fuzz/memory_file.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/vmcores.h"

namespace {

using namespace dw;
using dw::fuzz::require;
using Image = std::vector<std::byte>;

// In front of the journal, which the file follows.
struct InputHeader {
  uint32_t format;
  uint32_t journal_bytes;
};

const Vmcore& vmcore() {
  static const test::TemporaryVmcore file(test::small_crash());
  static const Vmcore opened = std::move(Vmcore::open(file.path()).value());
  return opened;
}

void put_checks_right(Image& journal) {
  if (journal.size() < sizeof(JournalHeader)) return;
  auto header = load<JournalHeader>(journal, 0);
  header.check = journal_check(header);
  store(journal, 0, header);
  for (size_t at = sizeof(header); journal.size() - at >= sizeof(JournalRecord);) {
    auto record = load<JournalRecord>(journal, at);
    size_t size = record_bytes(record.chunks);
    if (size > journal.size() - at) return;
    Bytes list = Bytes(journal).subspan(at + sizeof(record), size - sizeof(record));
    record.check = journal_check(record, list, header.check, at);
    store(journal, at, record);
    at += size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes input = std::as_bytes(std::span(data, size));
  if (size < sizeof(InputHeader)) return 0;
  auto header = load<InputHeader>(input, 0);
  input = input.subspan(sizeof(header));
  Bytes listed = input.first(std::min<size_t>(header.journal_bytes, input.size()));
  Image journal(listed.begin(), listed.end());
  input = input.subspan(listed.size());
  Image dump(input.begin(), input.end());
  put_checks_right(journal);

  test::CaptureSettings settings{.format = static_cast<DumpFormat>(header.format % 3),
                                 .compression = {}};
  if (settings.format == DumpFormat::kElf) settings.compression.compression = Compression::kNone;
  MemoryTarget target;
  require(target.write_at(0, dump).ok() && target.append_sums(journal).ok());
  require(target.publish().ok());
  Result<uint64_t> kept = test::resume_into(target, vmcore(), settings);
  if (kept.ok()) return 0;
  ErrorKind kind = kept.error().kind();
  require(kind == ErrorKind::kBadInput || kind == ErrorKind::kUnsupported);
  require(target.content() == dump && target.sums() == journal);
  return 0;
}
