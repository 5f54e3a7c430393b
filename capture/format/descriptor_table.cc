#include "capture/format/descriptor_table.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace dw {

namespace {

constexpr size_t kMaxRuns = 4096;

// The least that any disk writes whole.
constexpr uint64_t kSectorBytes = 512;

template <typename Vector>
void touch(Vector& vector, size_t size) {
  vector.resize(size);
  vector.clear();
}

}  // namespace

bool crosses_sector(uint64_t at) {
  // Offsets are multiples of 8. Behind the 16th byte only page_flags follow, which are always 0.
  return (at + offsetof(PageDescriptor, size)) % kSectorBytes == 0;
}

DescriptorTable DescriptorTable::create(Target& target) {
  DescriptorTable table(target);
  for (Batch* batch : {&table.current_, &table.pointed_}) {
    touch(batch->entries, kMaxDescriptors);
    touch(batch->runs, kMaxRuns);
  }
  return table;
}

size_t DescriptorTable::memory_bytes() {
  return 2 * (kMaxDescriptors * sizeof(Entry) + kMaxRuns * sizeof(Run));
}

bool DescriptorTable::has_room(size_t count, size_t runs) const {
  return current_.entries.size() + count <= kMaxDescriptors &&
         current_.runs.size() + runs <= kMaxRuns;
}

void DescriptorTable::add(uint64_t rank, const PageDescriptor& descriptor) {
  DW_CHECK(descriptor.page_flags == 0);
  current_.entries.push_back(
      {.offset = descriptor.offset, .size = descriptor.size, .flags = descriptor.flags});
  std::vector<Run>& runs = current_.runs;
  if (!runs.empty() && runs.back().rank + runs.back().count == rank)
    ++runs.back().count;
  else
    runs.push_back({.rank = rank, .count = 1});
  DW_CHECK(current_.entries.size() <= kMaxDescriptors && runs.size() <= kMaxRuns);
}

Status DescriptorTable::write_sizes() { return write_and_clear(pointed_); }

Status DescriptorTable::write_at_once() { return write_and_clear(current_); }

Status DescriptorTable::write_and_clear(Batch& batch) {
  DW_TRY(write(batch, Step::kWhole));
  batch.entries.clear();
  batch.runs.clear();
  return {};
}

Status DescriptorTable::write_pointers() {
  DW_CHECK(pointed_.entries.empty());
  DW_TRY(write(current_, Step::kPointed));
  std::swap(current_, pointed_);
  return {};
}

Status DescriptorTable::write(const Batch& batch, Step step) {
  const Entry* next = batch.entries.data();
  for (const Run& run : batch.runs) {
    DW_TRY(write_run(run, next, step));
    next += run.count;
  }
  return {};
}

Status DescriptorTable::write_run(const Run& run, const Entry* entries, Step step) {
  std::array<PageDescriptor, 512> piece;
  for (size_t done = 0; done < run.count; done += piece.size()) {
    size_t n = std::min(piece.size(), run.count - done);
    uint64_t at = offset_ + (run.rank + done) * sizeof(PageDescriptor);
    for (size_t i = 0; i < n; ++i) {
      const Entry& whole = entries[done + i];
      piece[i] = {};
      if (step != Step::kPrepared)
        piece[i] = {
            .offset = whole.offset, .size = whole.size, .flags = whole.flags, .page_flags = 0};
      bool in_steps = whole.size != 0 && crosses_sector(at + i * sizeof(PageDescriptor));
      if (!in_steps || step == Step::kWhole) continue;
      piece[i].size = kUnsettledSize;
      piece[i].flags = kPageZstd;
    }
    DW_TRY(target_->write_behind(at, std::as_bytes(std::span(piece).first(n))));
  }
  return {};
}

}  // namespace dw
