// The physical memory that a dump holds, page by page. Thread safety: as PhysicalMemory; the file
// is shared.
#pragma once

#include <cstdint>
#include <memory>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/format/kdump_reader.h"
#include "capture/source/physical_memory.h"

namespace dw {

class DumpPhysicalMemory final : public PhysicalMemory {
 public:
  static Result<std::unique_ptr<PhysicalMemory>> create(std::shared_ptr<const KdumpFile> file);

  // A page that the dump does not have is an Error kBadInput, like one that is not there at all.
  Status read(uint64_t address, MutableBytes into) override;

 private:
  DumpPhysicalMemory(KdumpReader reader, Buffer page)
      : reader_(std::move(reader)), page_(std::move(page)) {}

  Status load_page(uint64_t pfn);

  KdumpReader reader_;
  Buffer page_;
  uint64_t loaded_ = ~uint64_t{0};  // the pfn of what page_ holds
};

}  // namespace dw
