#include "capture/verify/elf_verifier.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/base/fd.h"
#include "capture/format/dump_format.h"
#include "capture/verify/workers.h"

namespace dw {

namespace {

constexpr const char* kMismatch = "does not match its checksum";
// Taken at once of what the list has no pages of.
constexpr uint64_t kChunksAtOnce = 256;

}  // namespace

Result<ElfVerifier> ElfVerifier::create(const Vmcore& core, unsigned threads, Findings& findings) {
  ElfDescription description{.machine = core.headers().machine,
                             .notes = core.headers().notes,
                             .segments = core.headers().segments,
                             .ranges = core.memory().pfn_ranges()};
  ElfVerifier verifier(core, threads, findings, ElfLayout(description, core.page_size()));
  verifier.chunks_ = divide_up(core.memory().end_pfn(), kChunkPages);
  DW_ASSIGN(verifier.seen_, ChunkSet::create(core.memory().end_pfn()));
  DW_ASSIGN(verifier.damaged_, ChunkSet::create(core.memory().end_pfn()));
  return verifier;
}

bool ElfVerifier::owns(const ListSummary& list) const {
  if (list.header.format != static_cast<uint32_t>(DumpFormat::kElf)) return false;
  // If the head is damaged, its length is all that is left to tell it by.
  return is_list_of(core_->file(), list) || list.file_bytes == core_->file_size();
}

Status ElfVerifier::check_by_list(const FileView& list_file, const ListSummary& list) {
  list_ = list;
  check_size();
  DW_ASSIGN(ListCursor cursor, ListCursor::open(list_file));
  return run_on_threads(threads_, [&] { return work_on_list(cursor); });
}

void ElfVerifier::check_size() {
  uint64_t size = core_->file_size();
  uint64_t expected = list_ && list_->file_bytes ? *list_->file_bytes : layout_.file_bytes();
  if (size < expected) findings_->add_part({"file", "ends too early", size, expected});
  if (size > expected && list_ && list_->file_bytes)
    findings_->add_part({"file", "goes on behind its end", expected, size});
}

Result<ElfVerifier::Worker> ElfVerifier::make_worker() const {
  DW_ASSIGN(ElfPages pages, ElfPages::create(layout_));
  Worker worker{.pages = std::move(pages), .record = {}, .chunks = {}, .stored = {}};
  worker.chunks.reserve(kMaxRecordChunks);
  worker.stored.reserve(kMaxRecordChunks);
  return worker;
}

Status ElfVerifier::work_on_list(ListCursor& cursor) {
  DW_ASSIGN(Worker worker, make_worker());
  for (;;) {
    DW_ASSIGN(bool more, take(cursor, worker));
    if (!more) return {};
    if (worker.record.kind == PieceKind::kHead) check_head_piece(worker.record);
    if (worker.record.kind == PieceKind::kPages) check_batch(worker);
  }
}

Result<bool> ElfVerifier::take(ListCursor& cursor, Worker& worker) {
  std::lock_guard lock(*list_mutex_);
  DW_ASSIGN(std::optional<JournalEntry> entry, cursor.next());
  if (!entry) return false;
  worker.record = entry->record;
  worker.chunks.assign(entry->chunks.begin(), entry->chunks.end());
  return true;
}

void ElfVerifier::check_head_piece(const JournalRecord& record) {
  Result<uint64_t> digest = digest_of_range(core_->file(), record.offset, record.length);
  if (digest.ok() && *digest == record.digest) return;
  findings_->add_part({"headers and notes", digest.ok() ? kMismatch : "cannot be read",
                       record.offset, record.offset + record.length});
}

void ElfVerifier::check_batch(Worker& worker) {
  RunningDigest digest;
  worker.stored.assign(worker.chunks.size(), ChunkBits{});
  bool right = true;
  for (size_t i = 0; i < worker.chunks.size(); ++i) {
    uint64_t chunk = worker.chunks[i];
    if (chunk >= chunks_) {
      findings_->add_part({"a record", "is of pages that the dump does not have", 0, 0, true});
      return;
    }
    if (!seen_.add(chunk))
      findings_->add_part({"a record", "is of pages that another one is of", 0, 0, true});
    right &= read_chunk(chunk, worker.pages, digest, worker.stored[i]);
  }
  right = right && digest.value() == worker.record.digest &&
          digest64(std::as_bytes(std::span(worker.stored))) == worker.record.table_digest;
  for (uint32_t chunk : worker.chunks)
    if (!right) damaged_.add(chunk);
}

bool ElfVerifier::read_chunk(uint64_t chunk, ElfPages& pages, RunningDigest& digest,
                             ChunkBits& stored) const {
  auto read_at = [this](uint64_t offset, MutableBytes into) {
    return read_exact_at(core_->file(), into, offset);
  };
  return pages.read_chunk(chunk * kChunkPages, read_at, digest, stored);
}

Status ElfVerifier::check_rest() {
  // What an incomplete core has besides, nobody knows.
  if (!list_ || !list_->file_bytes || list_->damaged()) return {};
  *next_chunk_ = 0;
  return run_on_threads(threads_, [this] { return work_on_rest(); });
}

Status ElfVerifier::work_on_rest() {
  DW_ASSIGN(Worker worker, make_worker());
  for (;;) {
    uint64_t first = next_chunk_->fetch_add(kChunksAtOnce);
    if (first >= chunks_) return {};
    for (uint64_t chunk = first; chunk < std::min(first + kChunksAtOnce, chunks_); ++chunk) {
      if (seen_.contains(chunk) || is_hole(chunk)) continue;
      RunningDigest digest;
      ChunkBits stored{};
      bool read = read_chunk(chunk, worker.pages, digest, stored);
      if (!read || count_bits(stored) > 0) damaged_.add(chunk);
    }
  }
}

bool ElfVerifier::is_hole(uint64_t chunk) const {
  DamagedPages pages = pages_of(chunk);
  if (pages.pages == 0) return true;
  FileView file = core_->file();
  off_t data = ::lseek(file.fd(), static_cast<off_t>(file.begin() + pages.begin), SEEK_DATA);
  return data < 0 ? errno == ENXIO : static_cast<uint64_t>(data) >= file.begin() + pages.end;
}

// All pages that the core has of a chunk, and their place.
DamagedPages ElfVerifier::pages_of(uint64_t chunk) const {
  DamagedPages pages{.damage = Damage::kSuspect};
  uint64_t end = (chunk + 1) * kChunkPages;
  for (uint64_t begin = chunk * kChunkPages; begin < end;) {
    std::optional<ElfLayout::Run> run = layout_.next_run(begin, end);
    if (!run) break;
    if (pages.pages == 0) pages.first_pfn = run->first_pfn;
    if (pages.pages == 0) pages.begin = run->offset;
    pages.pages += run->count;
    begin = run->first_pfn + run->count;
    pages.last_pfn = begin - 1;
    pages.end = run->offset + run->count * layout_.page_size();
  }
  return pages;
}

void ElfVerifier::tell(bool named_whole) {
  if (!list_) check_size();
  // Nothing in the core itself says whether all of it is there.
  if (list_ && named_whole && !list_->file_bytes && !list_->damaged_at)
    findings_->add_part({"its end", "is missing", list_->size, list_->size, true});
  findings_->settle();
  findings_->tell_parts();
  for (uint64_t chunk = 0; chunk < chunks_; ++chunk)
    if (damaged_.contains(chunk)) findings_->tell_pages(pages_of(chunk));
  VerifyReport& report = findings_->report();
  if (list_) {
    report.says_whole = list_->file_bytes.has_value();
    report.count_by_list(list_->planned_pages(), list_->pages.readable());
    return;
  }
  report.says_whole = named_whole;
  report.kept = report.there = report.unchecked = core_->memory().page_count();
}

}  // namespace dw
