#include "capture/format/elf_writer.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"
#include "capture/codec/zero.h"
#include "capture/format/elf_resume.h"

namespace dw {

namespace {

// Behind what the journal has durably, at most three checkpoints' pages may stand in the file, with
// a batch each: those whose barrier was passed last, those whose records were on their way behind
// it, and those that were being written.
constexpr uint64_t kUncertainBytes = 240 << 20;

Elf64_Ehdr file_header(Machine machine, size_t program_headers) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = static_cast<Elf64_Half>(machine);
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(program_headers);
  return header;
}

}  // namespace

Result<std::unique_ptr<ElfWriter>> ElfWriter::create(Target& target,
                                                     const ElfDescription& description,
                                                     const JournalHeader& journal) {
  if (description.segments.size() + 1 > kMaxProgramHeaders)
    return Error(ErrorKind::kUnsupported, "memory is in too many pieces for an ELF core")
        .hint("use --format kdump or stream");
  return std::unique_ptr<ElfWriter>(new ElfWriter(target, description, journal));
}

ElfWriter::ElfWriter(Target& target, const ElfDescription& description,
                     const JournalHeader& journal)
    : target_(&target),
      description_(description),
      layout_(description, journal.page_size),
      journal_(target, journal) {}

Status ElfWriter::read_kept(uint64_t, MutableBytes) {
  return Error(ErrorKind::kUnsupported, "an ELF core has no bitmap");
}

Status ElfWriter::write(uint64_t offset, Bytes bytes) {
  DW_TRY(target_->write_at(offset, bytes));
  written_ += bytes.size();
  return {};
}

Status ElfWriter::write_head(uint64_t offset, Bytes bytes) {
  head_.add(offset, bytes);
  return write(offset, bytes);
}

Status ElfWriter::write_program_headers() {
  std::array<Elf64_Phdr, 64> piece{};
  piece[0] = {.p_type = PT_NOTE,
              .p_flags = 0,
              .p_offset = layout_.notes_offset(),
              .p_vaddr = 0,
              .p_paddr = 0,
              .p_filesz = description_.notes.size(),
              .p_memsz = description_.notes.size(),
              .p_align = 4};
  size_t used = 1;
  uint64_t offset = layout_.program_headers_offset();
  for (const Segment& segment : description_.segments) {
    if (used == piece.size()) {
      DW_TRY(write_head(offset, std::as_bytes(std::span(piece))));
      offset += sizeof(piece);
      used = 0;
    }
    uint64_t page_size = layout_.page_size();
    uint64_t begin = segment.file_size == 0
                         ? layout_.data_offset()
                         : layout_.offset_of(segment.physical_address / page_size) +
                               segment.physical_address % page_size;
    piece[used++] = {.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_W | PF_X,
                     .p_offset = begin,
                     .p_vaddr = segment.virtual_address,
                     .p_paddr = segment.physical_address,
                     .p_filesz = segment.file_size,
                     .p_memsz = segment.memory_size,
                     .p_align = 0};
  }
  return write_head(offset, std::as_bytes(std::span(piece).first(used)));
}

Status ElfWriter::preallocate_journal() {
  // Besides the pieces of the head: plan and end.
  uint64_t records = divide_up(layout_.data_offset(), kHeadPieceBytes) + 2;
  return journal_.preallocate(records * record_bytes(0) + plan_.batch_bytes);
}

Status ElfWriter::begin(const Plan& plan) {
  plan_ = make_plan_record(plan);
  DW_TRY(preallocate_journal());
  Elf64_Ehdr header = file_header(description_.machine, description_.segments.size() + 1);
  DW_TRY(write_head(0, bytes_of(header)));
  DW_TRY(write_program_headers());
  if (!description_.notes.empty()) DW_TRY(write_head(layout_.notes_offset(), description_.notes));
  if (layout_.file_bytes() == head_bytes()) return {};
  // The file gets its length now: a segment must not lie outside it, whatever becomes of its last
  // pages, and a disk that cannot hold such a long file says so.
  const std::byte zero{0};
  return target_->write_at(layout_.file_bytes() - 1, bytes_of(zero));
}

Status ElfWriter::publish() {
  DW_TRY(target_->sync());
  HeadSum read_back;
  DW_TRY(add_head(journal_, *target_, 0, layout_.data_offset(), read_back));
  DW_TRY(compare_head(head_, read_back));
  journal_.add(plan_.record);
  DW_TRY(journal_.flush());
  // Without its journal a core cannot be gone on with.
  DW_TRY(target_->sync());
  clock_.restart(written_);
  return target_->publish();
}

Result<ResumePoint> ElfWriter::resume(const Plan& plan, const RememberPage&) {
  plan_ = make_plan_record(plan);
  DW_ASSIGN(ElfResume core, ElfResume::open(*target_, journal_.header(), plan, layout_));
  DW_ASSIGN(ElfResume::Point point, core.find());
  DW_TRY(journal_.go_on_at(point.journal_end));
  // Nothing may vouch for pages that are written again.
  DW_TRY(target_->sync());
  DW_TRY(preallocate_journal());
  written_ = head_bytes() + point.counts.stored * layout_.page_size();
  uncertain_until_ = written_ + point.listed_pages * layout_.page_size() + kUncertainBytes;
  clock_.restart(written_);
  return ResumePoint{.batches = point.batches, .counts = point.counts};
}

Status ElfWriter::write_run(const Run& run, Bytes data) {
  return run.size == 0 ? Status() : write(run.offset, data.subspan(run.where, run.size));
}

Status ElfWriter::extend(Run& run, const PageRecord& record, uint64_t offset, Bytes data) {
  DW_CHECK(record.size == layout_.page_size());
  if (run.offset + run.size != offset || run.where + run.size != record.where) {
    DW_TRY(write_run(run, data));
    run = {.offset = offset, .where = record.where, .size = 0};
  }
  run.size += record.size;
  return {};
}

Status ElfWriter::write_pages(const PlannedBatch& batch, const BatchOutput& output) {
  Run run;
  const PageRecord* record = output.records().data();
  for (size_t i = 0; i < batch.chunks().size(); ++i) {
    const PlannedChunk& chunk = batch.chunks()[i];
    const ChunkBits& pages = output.chunk_pages()[i];
    stored_[i] = {};
    unsigned known = 0;
    for (unsigned page = 0; page < kChunkPages; ++page) {
      if ((pages[page / 64] >> page % 64 & 1) == 0) continue;
      const PageRecord& next = record[known++];
      if (next.state != PageState::kStored) continue;
      stored_[i][page / 64] |= uint64_t{1} << page % 64;
      DW_TRY(extend(run, next, layout_.offset_of(chunk.first_pfn + page), output.data()));
    }
    DW_CHECK(known == chunk.kept || known == 0);
    record += chunk.kept;
  }
  return write_run(run, output.data());
}

Result<uint64_t> ElfWriter::append(const PlannedBatch& batch, const BatchOutput& output) {
  DW_CHECK(output.records().size() == batch.pages());
  DW_CHECK(output.chunk_pages().size() == batch.chunks().size());
  DW_CHECK(output.counts().shared == 0);
  if (clock_.due(written_) || !journal_.has_room(batch.chunks().size())) DW_TRY(checkpoint());
  bool uncertain = written_ < uncertain_until_;
  DW_TRY(write_pages(batch, output));
  std::span<const ChunkBits> stored = std::span(stored_).first(batch.chunks().size());
  for (size_t i = 0; i < stored.size() && uncertain; ++i)
    DW_TRY(clear_others(batch.chunks()[i].first_pfn, stored[i]));
  JournalRecord record = make_pages_record(output);
  record.table_digest = digest64(std::as_bytes(stored));
  journal_.add(record, batch.chunks());
  return written_;
}

// A page that was being written when the power went, and cannot be read any more, must not stay as
// half a page.
Status ElfWriter::clear_others(uint64_t first_pfn, const ChunkBits& stored) {
  uint64_t end = first_pfn + kChunkPages;
  for (uint64_t pfn = first_pfn; pfn < end; ++pfn) {
    std::optional<ElfLayout::Run> run = layout_.next_run(pfn, end);
    if (!run) return {};
    pfn = run->first_pfn;
    uint64_t page = pfn - first_pfn;
    if ((stored[page / 64] >> page % 64 & 1) == 0) DW_TRY(clear_page(run->offset));
  }
  return {};
}

Status ElfWriter::clear_page(uint64_t offset) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  std::array<std::byte, kZeros.size()> piece;
  for (uint64_t done = 0; done < layout_.page_size(); done += piece.size()) {
    DW_TRY(target_->read_at(offset + done, piece));
    if (!is_zero(piece)) DW_TRY(target_->write_at(offset + done, kZeros));
  }
  return {};
}

Status ElfWriter::checkpoint() {
  clock_.restart(written_);
  DW_TRY(target_->barrier());
  return journal_.flush();
}

Status ElfWriter::finish(bool complete) {
  DW_TRY(checkpoint());
  if (complete) {
    journal_.add({.offset = layout_.file_bytes(), .kind = PieceKind::kEnd});
    DW_TRY(journal_.flush());
  }
  // What the journal says now, too.
  DW_TRY(target_->sync());
  return complete ? target_->seal() : Status();
}

}  // namespace dw
