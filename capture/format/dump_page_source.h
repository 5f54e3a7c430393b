// The pages of a dump, for the pipeline: which ones are kept, the dump's second bitmap says.
// Thread safety: as PageSource; the file and the errors are shared and must outlive it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "capture/format/kdump_reader.h"
#include "capture/pipeline/page_source.h"

namespace dw {

// The first thing that was found damaged, by any thread.
class DamageReport {
 public:
  void add(const Error& error);
  [[nodiscard]] std::optional<Error> first();

 private:
  std::mutex mutex_;
  std::optional<Error> first_;
};

class DumpPageSource : public PageSource {
 public:
  static Result<std::unique_ptr<PageSource>> create(std::shared_ptr<const KdumpFile> file,
                                                    DamageReport& damage);

  // Damage reads as no pages; who asks must look at the report before anything counts.
  ChunkBits judge(uint64_t first_pfn) override;
  [[nodiscard]] uint64_t read_pages(uint64_t first_pfn, unsigned count, MutableBytes into) override;

 private:
  DumpPageSource(KdumpReader reader, DamageReport& damage)
      : reader_(std::move(reader)), damage_(&damage) {}

  KdumpReader reader_;
  DamageReport* damage_;
};

}  // namespace dw
