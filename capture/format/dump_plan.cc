#include "capture/format/dump_plan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

namespace dw {

namespace {

using WindowBits = std::array<uint64_t, kWindowWords>;

// The chunks whose pages stand before, between and behind two places in the file are those of the
// three priorities, as the plan that wrote it had them.
class Priorities {
 public:
  static Result<Priorities> find(KdumpReader& reader, const DumpMemory& memory);

  // Of the chunk whose first page's data begins at `offset`.
  [[nodiscard]] ChunkPriority of(uint64_t offset) const {
    auto behind = std::ranges::count_if(begins_, [&](uint64_t begin) { return offset >= begin; });
    return static_cast<ChunkPriority>(behind);
  }

 private:
  std::array<uint64_t, kPriorityCount - 1> begins_{};  // of the data of all but the first
};

struct ChunkPlace {
  uint64_t offset;
  uint64_t first_pfn;
};

// Where the data of a chunk's first kept page stands; nothing if it has none.
Result<std::optional<uint64_t>> first_offset(KdumpReader& reader, uint64_t first_pfn) {
  std::array<PageDescriptor, KdumpReader::kMaxRun> descriptors;
  for (unsigned at = 0; at < kChunkPages; at += KdumpReader::kMaxRun) {
    DW_ASSIGN(uint64_t kept,
              reader.read_descriptors(first_pfn + at, KdumpReader::kMaxRun, descriptors));
    if (kept != 0 && descriptors[0].size != 0) return std::optional(descriptors[0].offset);
    if (kept != 0) break;
  }
  return std::optional<uint64_t>();
}

Result<Priorities> Priorities::find(KdumpReader& reader, const DumpMemory& memory) {
  std::vector<ChunkPlace> places;
  for (uint64_t window : memory.windows) {
    for (uint64_t chunk = 0; chunk < kWindowChunks; ++chunk) {
      uint64_t first_pfn = window * kWindowPages + chunk * kChunkPages;
      DW_ASSIGN(std::optional<uint64_t> offset, first_offset(reader, first_pfn));
      if (offset) places.push_back({.offset = *offset, .first_pfn = first_pfn});
    }
  }
  std::ranges::sort(places, {}, &ChunkPlace::offset);
  Priorities priorities;
  size_t found = 0;
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i].first_pfn > places[i - 1].first_pfn) continue;
    // Not a dump of ours: any order will do.
    if (found == priorities.begins_.size()) return Priorities{};
    priorities.begins_[found++] = places[i].offset;
  }
  for (; found < priorities.begins_.size(); ++found) priorities.begins_[found] = UINT64_MAX;
  return priorities;
}

struct Window {
  WindowBits present;
  WindowBits kept;
};

Result<Window> read_window(KdumpReader& reader, uint64_t index) {
  Window window;
  uint64_t first_pfn = index * kWindowPages;
  DW_TRY(reader.read_present_bits(first_pfn, std::as_writable_bytes(std::span(window.present))));
  DW_TRY(reader.read_kept_bits(first_pfn, std::as_writable_bytes(std::span(window.kept))));
  return window;
}

// Adds the set bits to the ranges.
void add_ranges(uint64_t first_pfn, const WindowBits& bits, std::vector<PfnRange>& ranges) {
  for (size_t word = 0; word < bits.size(); ++word) {
    for (unsigned bit = 0; bit < 64;) {
      uint64_t rest = bits[word] >> bit;
      if (rest == 0) break;
      bit += static_cast<unsigned>(std::countr_zero(rest));
      unsigned length = static_cast<unsigned>(std::countr_one(bits[word] >> bit));
      uint64_t begin = first_pfn + word * 64 + bit;
      if (!ranges.empty() && ranges.back().end == begin)
        ranges.back().end += length;
      else
        ranges.push_back({.begin = begin, .end = begin + length});
      bit += length;
    }
  }
}

}  // namespace

Result<DumpMemory> read_memory(KdumpReader& reader, size_t max_ranges) {
  DumpMemory memory;
  for (uint64_t index = 0; index * kWindowPages < reader.max_mapnr(); ++index) {
    DW_ASSIGN(Window window, read_window(reader, index));
    WindowBits either;
    uint64_t any = 0;
    for (size_t i = 0; i < either.size(); ++i) {
      either[i] = window.present[i] | window.kept[i];
      any |= either[i];
      memory.ram_pages += static_cast<uint64_t>(std::popcount(window.present[i]));
    }
    if (any == 0) continue;
    memory.windows.push_back(index);
    add_ranges(index * kWindowPages, either, memory.ranges);
    if (memory.ranges.size() > max_ranges)
      return Error(ErrorKind::kUnsupported, "memory in too many pieces")
          .at(Where::kPfn, index * kWindowPages);
  }
  return memory;
}

Result<Plan> make_plan(KdumpReader& reader, const DumpMemory& memory, bool in_order_of_data,
                       bool with_digests, const WindowBitmaps& bitmaps) {
  DW_ASSIGN(PlanBuilder builder, PlanBuilder::create(memory.windows, with_digests));
  Priorities order;
  if (in_order_of_data) {
    DW_ASSIGN(order, Priorities::find(reader, memory));
  }
  for (size_t i = 0; i < memory.windows.size(); ++i) {
    uint64_t first_pfn = memory.windows[i] * kWindowPages;
    DW_ASSIGN(Window window, read_window(reader, memory.windows[i]));
    DW_TRY(bitmaps(first_pfn, std::as_bytes(std::span(window.present)),
                   std::as_writable_bytes(std::span(window.kept))));
    std::array<ChunkPriority, kWindowChunks> priorities;
    priorities.fill(ChunkPriority::kOther);
    for (uint64_t chunk = 0; in_order_of_data && chunk < kWindowChunks; ++chunk) {
      DW_ASSIGN(std::optional<uint64_t> offset,
                first_offset(reader, first_pfn + chunk * kChunkPages));
      if (offset) priorities[chunk] = order.of(*offset);
    }
    builder.set_window(i, window.kept, priorities);
  }
  return std::move(builder).finish();
}

}  // namespace dw
