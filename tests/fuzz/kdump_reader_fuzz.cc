// A kdump file of any content: opened, counted, and pages read from it.
#include <algorithm>
#include <vector>

#include "capture/format/kdump_reader.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;
using dw::fuzz::require;

constexpr uint64_t kPagesRead = 64;

void read_pages(KdumpReader& reader) {
  std::vector<std::byte> page(reader.layout().block_size);
  uint64_t step = std::max<uint64_t>(1, reader.max_mapnr() / kPagesRead);
  for (uint64_t i = 0; i <= kPagesRead; ++i) (void)reader.read_page(i * step, page);
  // Low pages more closely: small dumps have all of theirs there.
  for (uint64_t pfn = 0; pfn < kPagesRead; ++pfn) (void)reader.read_page(pfn, page);
  (void)reader.read_page(~uint64_t{0}, page);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Fd fd = dw::fuzz::memory_file(data, size);
  Result<bool> kdump = KdumpReader::recognizes(fd.get());
  require(kdump.ok());
  Result<KdumpReader> reader = KdumpReader::open(std::move(fd));
  if (!reader.ok()) return 0;
  require(*kdump);
  require(reader->notes().size() <= size && reader->vmcoreinfo().size() <= size);
  Result<KdumpSummary> summary = reader->summarize();
  if (summary.ok())
    require(summary->stored + summary->shared + summary->missing + summary->damaged ==
            summary->kept);
  read_pages(*reader);
  return 0;
}
