#include "capture/verify/kdump_verifier.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"
#include "capture/codec/zero.h"
#include "capture/format/dump_format.h"
#include "capture/format/journal_header.h"
#include "capture/verify/table_walk.h"
#include "capture/verify/workers.h"

namespace dw {

namespace {

constexpr const char* kMismatch = "does not match its checksum";

}  // namespace

Result<std::unique_ptr<KdumpVerifier>> KdumpVerifier::create(const KdumpFile& file, Options options,
                                                             Findings& findings) {
  std::unique_ptr<KdumpVerifier> made(new KdumpVerifier(file, options, findings));
  DW_ASSIGN(made->reader_, file.source().open_reader());
  DW_ASSIGN(made->seen_, ChunkSet::create(file.max_mapnr()));
  DW_ASSIGN(made->distrusted_, ChunkSet::create(file.max_mapnr()));
  return made;
}

Result<KdumpVerifier::Worker> KdumpVerifier::make_worker() {
  DW_ASSIGN(PageChecker checker, PageChecker::create(*file_, findings_->data()));
  ByteReader& reader = checker.reader();
  Worker worker{.checker = std::move(checker),
                .index = ChunkIndex(*file_, reader),
                .descriptors = {},
                .record = {},
                .chunks = {}};
  worker.descriptors.reserve(kBatchPages);
  worker.chunks.reserve(kMaxRecordChunks);
  return worker;
}

Result<uint64_t> KdumpVerifier::digest_of(ByteReader& reader, uint64_t offset, uint64_t length) {
  std::array<std::byte, 16384> buffer;
  RunningDigest digest;
  for (uint64_t done = 0; done < length;) {
    MutableBytes piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), length - done));
    DW_TRY(reader.read_exact(piece, offset + done));
    digest.add(piece);
    done += piece.size();
  }
  return digest.value();
}

bool KdumpVerifier::owns(const ListSummary& list) {
  if (list.header.format != static_cast<uint32_t>(DumpFormat::kKdump)) return false;
  uint64_t block = file_->layout().block_size;
  Result<uint64_t> first = digest_of(*reader_, 0, block);
  for (const std::optional<JournalRecord>& head : {list.first_head, list.sealed_head})
    if (head && head->length == block && first.ok() && head->digest == *first) return true;
  // That block may be what is damaged.
  Result<uint64_t> ram_pages = count_ram_pages(*file_, *reader_);
  KdumpDescription description;
  description.notes = file_->notes();
  description.max_mapnr = file_->sub_header().max_mapnr_64;
  description.ram_pages = ram_pages.ok() ? *ram_pages : 0;
  return crash_identity(description) == list.header.identity;
}

Status KdumpVerifier::check_by_list(const FileView& list_file, const ListSummary& list) {
  list_ = list;
  const KdumpLayout& layout = file_->layout();
  if (list.plan && list.table_end > 0)
    table_usable_ = layout.descriptors_offset == list.table_begin &&
                    layout.descriptor_count == list.planned_pages();
  DW_TRY(check_first_block());
  findings_->check_size(file_->source().size(), list);
  DW_ASSIGN(ListCursor cursor, ListCursor::open(list_file));
  return run_on_threads(options_.threads, [&] { return work_on_list(cursor); });
}

// Which of the two it has to be depends on how far sealing came.
Status KdumpVerifier::check_first_block() {
  const ListSummary& list = *list_;
  uint64_t block = file_->layout().block_size;
  DW_ASSIGN(uint64_t digest, digest_of(*reader_, 0, block));
  auto is = [&](const std::optional<JournalRecord>& head) {
    return head && head->length == block && head->digest == digest;
  };
  if (is(list.sealed_head)) {
    if (!list.file_bytes && !list.damaged_at)
      findings_->add_part({"its end", "is missing", list.size, list.size, true});
  } else if (is(list.first_head)) {
    if (list.file_bytes && options_.named_whole)
      findings_->add_part(
          {"header", "says that the dump is incomplete, which it is not", 0, block});
    else if (list.file_bytes)
      findings_->note("every page was written, but the dump was not sealed");
  } else if (!list.sealed_head && !file_->incomplete()) {
    const char* what = "says that the dump is whole, which its list of checksums does not";
    findings_->add_part({"header", what, 0, block});
  } else if (list.first_head || list.sealed_head) {
    findings_->add_part({"header", kMismatch, 0, block});
  }
  return {};
}

Status KdumpVerifier::work_on_list(ListCursor& cursor) {
  DW_ASSIGN(Worker worker, make_worker());
  for (;;) {
    DW_ASSIGN(bool more, take(cursor, worker));
    if (!more) return {};
    if (worker.record.kind == PieceKind::kHead && worker.record.offset != 0)
      DW_TRY(check_head_piece(worker));
    if (worker.record.kind == PieceKind::kPages) DW_TRY(check_batch(worker));
  }
}

Result<bool> KdumpVerifier::take(ListCursor& cursor, Worker& worker) {
  std::lock_guard lock(list_mutex_);
  DW_ASSIGN(std::optional<JournalEntry> entry, cursor.next());
  if (!entry) return false;
  worker.record = entry->record;
  worker.chunks.assign(entry->chunks.begin(), entry->chunks.end());
  return true;
}

const char* KdumpVerifier::head_part_name(uint64_t begin, uint64_t end) const {
  const KdumpLayout& layout = file_->layout();
  if (begin >= layout.descriptors_offset) return "zero page, or what is before it";
  bool first = begin < layout.second_bitmap_offset && end > layout.first_bitmap_offset;
  bool second = end > layout.second_bitmap_offset;
  if (begin >= layout.first_bitmap_offset)
    return first && second ? "bitmaps" : first ? "first bitmap" : "second bitmap";
  return end <= layout.first_bitmap_offset ? "sub header and notes"
                                           : "sub header, notes and bitmaps";
}

Status KdumpVerifier::check_head_piece(Worker& worker) {
  const JournalRecord& record = worker.record;
  uint64_t end = record.offset + record.length;
  const char* name = head_part_name(record.offset, end);
  Result<uint64_t> digest = digest_of(worker.checker.reader(), record.offset, record.length);
  if (digest.ok() && *digest == record.digest) return {};
  findings_->add_part({name, digest.ok() ? kMismatch : "cannot be read", record.offset, end});
  return end == list_->head_end && table_usable_ ? check_zero_page(worker) : Status();
}

uint64_t KdumpVerifier::zero_page_offset() const {
  uint64_t block = file_->layout().block_size;
  bool known = list_ && list_->table_end > 0 && list_->head_end >= block;
  return known ? list_->head_end - block : 0;
}

Status KdumpVerifier::check_zero_page(Worker& worker) {
  uint64_t block = file_->layout().block_size;
  uint64_t offset = zero_page_offset();
  if (offset == 0) return {};
  Bytes page = worker.checker.read_data(offset, block);
  if (page.size() == block && !is_zero(page))
    findings_->data().add(offset, offset + block, Damage::kData);
  return {};
}

Status KdumpVerifier::check_batch(Worker& worker) {
  const JournalRecord& record = worker.record;
  if (record.length > PageChecker::data_bytes(*file_)) {
    findings_->add_part({"a record", "is of too long a piece", 0, 0, true});
    return {};
  }
  Bytes data = worker.checker.read_data(record.offset, record.length);
  bool right = data.size() == record.length && digest64(data) == record.digest;
  if (!table_usable_) {
    for (uint32_t chunk : worker.chunks)
      if (!right && distrusted_.has_room_for(chunk)) distrusted_.add(chunk);
    return {};
  }
  DW_TRY(load_table(worker));
  size_t wrong = check_own_pages(worker, data);
  if (!right) blame(worker, wrong);
  return {};
}

Status KdumpVerifier::load_table(Worker& worker) {
  const JournalRecord& record = worker.record;
  worker.descriptors.clear();
  for (uint32_t chunk : worker.chunks) {
    if (chunk >= worker.index.chunk_count()) {
      findings_->add_part({"a record", "is of pages that the dump does not have", 0, 0, true});
      return {};
    }
    DW_ASSIGN(IndexedChunk found, worker.index.find(chunk));
    size_t before = worker.descriptors.size();
    if (before + found.kept > kBatchPages) break;
    worker.descriptors.resize(before + found.kept);
    DW_TRY(file_->read_descriptors(worker.checker.reader(), found.rank,
                                   std::span(worker.descriptors).subspan(before)));
    if (seen_.add(chunk))
      seen_pages_ += found.kept;
    else
      findings_->add_part({"a record", "is of pages that another one is of", 0, 0, true});
  }
  uint64_t digest = digest64(std::as_bytes(std::span(worker.descriptors)));
  if (digest == record.table_digest || may_be_unsettled(worker)) return {};
  for (uint32_t chunk : worker.chunks) distrusted_.add(chunk);
  return {};
}

// Of the last batches before power went the sizes of some descriptors may not be there: see
// descriptor_table.h. Their pages read as missing.
bool KdumpVerifier::may_be_unsettled(const Worker& worker) const {
  if (list_->file_bytes) return false;
  return std::ranges::any_of(worker.descriptors, [](const PageDescriptor& descriptor) {
    return descriptor.size == kUnsettledSize && descriptor.flags == kPageZstd;
  });
}

// Of the pages whose bytes are the batch's own: how many are wrong.
size_t KdumpVerifier::check_own_pages(Worker& worker, Bytes data) {
  const JournalRecord& record = worker.record;
  uint64_t next = record.offset;
  size_t wrong = 0;
  for (const PageDescriptor& descriptor : worker.descriptors) {
    bool own = descriptor.offset >= next && descriptor.size > 0 &&
               descriptor.size <= file_->layout().block_size &&
               range_fits(descriptor.offset - record.offset, descriptor.size, data.size());
    if (!own) continue;
    Bytes stored = data.subspan(descriptor.offset - record.offset, descriptor.size);
    if (worker.checker.check(descriptor, stored) == PageChecker::Finding::kWrong) ++wrong;
    next = descriptor.offset + descriptor.size;
  }
  return wrong;
}

// The batch's digest is wrong. Unless pages without a checksum of their own may be why, or pages
// with one are, any page of the batch may be.
void KdumpVerifier::blame(const Worker& worker, size_t wrong) {
  const JournalRecord& record = worker.record;
  bool any = wrong > 0;
  for (const PageDescriptor& descriptor : worker.descriptors) {
    bool own = descriptor.flags == 0 && descriptor.offset >= record.offset &&
               range_fits(descriptor.offset - record.offset, descriptor.size, record.length);
    if (!own || descriptor.size == 0) continue;
    findings_->data().add(descriptor.offset, descriptor.offset + descriptor.size, Damage::kSuspect);
    any = true;
  }
  if (!any && record.length > 0)
    findings_->data().add(record.offset, record.offset + record.length, Damage::kSuspect);
}

Status KdumpVerifier::check_rest() {
  if (!table_usable_ || seen_pages_ == file_->layout().descriptor_count) return {};
  next_block_ = 0;
  return run_on_threads(options_.threads, [this] { return work_on_rest(); });
}

Status KdumpVerifier::work_on_rest() {
  DW_ASSIGN(Worker worker, make_worker());
  uint64_t per_block = worker.index.chunks_per_block();
  for (;;) {
    uint64_t first = next_block_.fetch_add(1) * per_block;
    uint64_t end = std::min(first + per_block, worker.index.chunk_count());
    if (first >= end) return {};
    for (uint64_t chunk = first; chunk < end; ++chunk) {
      if (seen_.contains(chunk)) continue;
      DW_ASSIGN(IndexedChunk found, worker.index.find(chunk));
      worker.descriptors.resize(found.kept);
      DW_TRY(file_->read_descriptors(worker.checker.reader(), found.rank, worker.descriptors));
      worker.checker.check_all(worker.descriptors);
    }
  }
}

Status KdumpVerifier::tell() {
  findings_->report().says_whole = !file_->incomplete();
  findings_->settle();
  findings_->tell_parts();
  TableWalk::Vouched vouched{
      .chunks = seen_, .distrusted = distrusted_, .zero_page_offset = zero_page_offset()};
  TableWalk walk(*file_, *reader_, vouched, *findings_);
  return table_usable_ ? walk.tell_pages() : walk.tell_chunks();
}

}  // namespace dw
