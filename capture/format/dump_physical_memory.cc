#include "capture/format/dump_physical_memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dw {

Result<std::unique_ptr<PhysicalMemory>> DumpPhysicalMemory::create(
    std::shared_ptr<const KdumpFile> file) {
  DW_ASSIGN(KdumpReader reader, KdumpReader::create(std::move(file)));
  DW_ASSIGN(Buffer page, Buffer::allocate(reader.layout().block_size));
  return std::unique_ptr<PhysicalMemory>(
      new DumpPhysicalMemory(std::move(reader), std::move(page)));
}

Status DumpPhysicalMemory::load_page(uint64_t pfn) {
  if (loaded_ == pfn) return {};
  loaded_ = ~uint64_t{0};
  DW_ASSIGN(KdumpReader::PageFate fate, reader_.read_page(pfn, page_.bytes()));
  if (fate != KdumpReader::PageFate::kRead)
    return Error(ErrorKind::kBadInput, "the dump does not have this page").at(Where::kPfn, pfn);
  loaded_ = pfn;
  return {};
}

Status DumpPhysicalMemory::read(uint64_t address, MutableBytes into) {
  while (!into.empty()) {
    uint64_t inside = address % page_.size();
    DW_TRY(load_page(address / page_.size()));
    size_t n = std::min<uint64_t>(into.size(), page_.size() - inside);
    std::memcpy(into.data(), page_.data() + inside, n);
    address += n;
    into = into.subspan(n);
  }
  return {};
}

}  // namespace dw
