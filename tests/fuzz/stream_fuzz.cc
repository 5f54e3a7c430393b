// A stream of any content: its frames walked, its content read and verified, pages read from it.
#include <algorithm>
#include <vector>

#include "capture/format/stream_file.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/read_pages.h"

namespace {

using namespace dw;
using dw::fuzz::require;

void read_content(const StreamFile& file) {
  Result<std::unique_ptr<ByteReader>> reader = file.open_reader();
  if (!reader.ok()) return;
  std::vector<std::byte> piece(5000);
  uint64_t step = std::max<uint64_t>(1, file.size() / 16);
  for (uint64_t at = 0; at < file.size() + step; at += step) {
    Result<size_t> n = (*reader)->read_up_to(piece, at);
    if (n.ok())
      require(*n == std::min<uint64_t>(piece.size(), file.size() - std::min(at, file.size())));
    (void)file.file_offset(at);
    if (file.covers(at, 4096)) require(at + 4096 <= file.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<std::unique_ptr<StreamFile>> file = StreamFile::open(dw::fuzz::memory_file(data, size));
  if (!file.ok()) return 0;
  require((*file)->cut_at().has_value() == ((*file)->ending() == Ending::kCut));
  require((*file)->cut_at().value_or(0) <= size);
  read_content(**file);
  (void)(*file)->verify();
  dw::fuzz::read_pages(dw::fuzz::memory_file(data, size));
  return 0;
}
