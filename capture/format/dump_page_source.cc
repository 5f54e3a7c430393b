#include "capture/format/dump_page_source.h"

#include <utility>

namespace dw {

void DamageReport::add(const Error& error) {
  std::lock_guard lock(mutex_);
  if (!first_) first_ = error;
}

std::optional<Error> DamageReport::first() {
  std::lock_guard lock(mutex_);
  return first_;
}

Result<std::unique_ptr<PageSource>> DumpPageSource::create(std::shared_ptr<const KdumpFile> file,
                                                           DamageReport& damage) {
  DW_ASSIGN(KdumpReader reader, KdumpReader::create(std::move(file)));
  return std::unique_ptr<PageSource>(new DumpPageSource(std::move(reader), damage));
}

ChunkBits DumpPageSource::judge(uint64_t first_pfn) {
  ChunkBits bits{};
  Status read = reader_.read_kept_bits(first_pfn, std::as_writable_bytes(std::span(bits)));
  if (!read.ok()) damage_->add(read.error());
  return bits;
}

uint64_t DumpPageSource::read_pages(uint64_t first_pfn, unsigned count, MutableBytes into) {
  Result<uint64_t> read = reader_.read_pages(first_pfn, count, into);
  if (read.ok()) return *read;
  damage_->add(read.error());
  return 0;
}

}  // namespace dw
