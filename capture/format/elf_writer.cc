#include "capture/format/elf_writer.h"

#include <elf.h>

#include <algorithm>
#include <array>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint64_t kProgramHeadersOffset = sizeof(Elf64_Ehdr);

Elf64_Ehdr file_header(Machine machine, size_t program_headers) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = static_cast<Elf64_Half>(machine);
  header.e_version = EV_CURRENT;
  header.e_phoff = kProgramHeadersOffset;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(program_headers);
  return header;
}

}  // namespace

Result<std::unique_ptr<ElfWriter>> ElfWriter::create(Target& target,
                                                     const ElfDescription& description,
                                                     uint64_t page_size) {
  if (description.segments.size() + 1 > kMaxProgramHeaders)
    return Error(ErrorKind::kUnsupported, "memory is in too many pieces for an ELF core")
        .hint("use --format kdump or stream");
  return std::unique_ptr<ElfWriter>(new ElfWriter(target, description, page_size));
}

ElfWriter::ElfWriter(Target& target, const ElfDescription& description, uint64_t page_size)
    : target_(&target), description_(description), page_size_(page_size) {
  pages_before_.reserve(description_.ranges.size());
  for (const PfnRange& range : description_.ranges) {
    pages_before_.push_back(page_count_);
    page_count_ += range.end - range.begin;
  }
  size_t headers = description_.segments.size() + 1;
  notes_offset_ = kProgramHeadersOffset + headers * sizeof(Elf64_Phdr);
  data_offset_ = align_up(notes_offset_ + description_.notes.size(), page_size_);
}

uint64_t ElfWriter::offset_of(uint64_t pfn) const {
  auto range = std::ranges::upper_bound(description_.ranges, pfn, {}, &PfnRange::end);
  DW_CHECK(range != description_.ranges.end() && range->begin <= pfn);
  auto index = static_cast<size_t>(range - description_.ranges.begin());
  return data_offset_ + (pages_before_[index] + pfn - range->begin) * page_size_;
}

Status ElfWriter::read_kept(uint64_t, MutableBytes) {
  return Error(ErrorKind::kUnsupported, "an ELF core has no bitmap");
}

Status ElfWriter::write(uint64_t offset, Bytes bytes) {
  DW_TRY(target_->write_at(offset, bytes));
  written_ += bytes.size();
  return {};
}

Status ElfWriter::write_program_headers() {
  std::array<Elf64_Phdr, 64> piece{};
  piece[0] = {.p_type = PT_NOTE,
              .p_flags = 0,
              .p_offset = notes_offset_,
              .p_vaddr = 0,
              .p_paddr = 0,
              .p_filesz = description_.notes.size(),
              .p_memsz = description_.notes.size(),
              .p_align = 4};
  size_t used = 1;
  uint64_t offset = kProgramHeadersOffset;
  for (const Segment& segment : description_.segments) {
    if (used == piece.size()) {
      DW_TRY(write(offset, std::as_bytes(std::span(piece))));
      offset += sizeof(piece);
      used = 0;
    }
    uint64_t pfn = segment.physical_address / page_size_;
    uint64_t begin = segment.file_size == 0
                         ? data_offset_
                         : offset_of(pfn) + segment.physical_address % page_size_;
    piece[used++] = {.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_W | PF_X,
                     .p_offset = begin,
                     .p_vaddr = segment.virtual_address,
                     .p_paddr = segment.physical_address,
                     .p_filesz = segment.file_size,
                     .p_memsz = segment.memory_size,
                     .p_align = 0};
  }
  return write(offset, std::as_bytes(std::span(piece).first(used)));
}

Status ElfWriter::begin(const Plan&) {
  Elf64_Ehdr header = file_header(description_.machine, description_.segments.size() + 1);
  DW_TRY(write(0, bytes_of(header)));
  DW_TRY(write_program_headers());
  if (!description_.notes.empty()) DW_TRY(write(notes_offset_, description_.notes));
  if (page_count_ == 0) return {};
  // The file gets its length now: a segment must not lie outside it, whatever becomes of its last
  // pages, and a disk that cannot hold such a long file says so.
  const std::byte zero{0};
  return write(data_offset_ + page_count_ * page_size_ - 1, bytes_of(zero));
}

Status ElfWriter::publish() {
  DW_TRY(checkpoint());
  return target_->publish();
}

Status ElfWriter::write_run(const Run& run, Bytes data) {
  return run.size == 0 ? Status() : write(run.offset, data.subspan(run.where, run.size));
}

Status ElfWriter::extend(Run& run, const PageRecord& record, uint64_t pfn, Bytes data) {
  if (record.state == PageState::kZero || record.state == PageState::kMissing) return {};
  DW_CHECK(record.state == PageState::kStored && record.size == page_size_);
  uint64_t offset = offset_of(pfn);
  if (run.offset + run.size != offset || run.where + run.size != record.where) {
    DW_TRY(write_run(run, data));
    run = {.offset = offset, .where = record.where, .size = 0};
  }
  run.size += page_size_;
  return {};
}

Result<uint64_t> ElfWriter::append(const PlannedBatch& batch, const BatchOutput& output) {
  DW_CHECK(output.records().size() == batch.pages());
  DW_CHECK(output.chunk_pages().size() == batch.chunks().size());
  if (clock_.due(written_)) DW_TRY(checkpoint());
  Run run;
  const PageRecord* record = output.records().data();
  for (size_t i = 0; i < batch.chunks().size(); ++i) {
    const PlannedChunk& chunk = batch.chunks()[i];
    const ChunkBits& pages = output.chunk_pages()[i];
    unsigned known = 0;
    for (unsigned page = 0; page < kChunkPages; ++page)
      if ((pages[page / 64] >> page % 64 & 1) != 0)
        DW_TRY(extend(run, record[known++], chunk.first_pfn + page, output.data()));
    DW_CHECK(known == chunk.kept || known == 0);
    record += chunk.kept;
  }
  DW_TRY(write_run(run, output.data()));
  return written_;
}

Status ElfWriter::checkpoint() {
  clock_.restart(written_);
  return target_->sync();
}

Status ElfWriter::finish(bool complete) {
  DW_TRY(checkpoint());
  return complete ? target_->seal() : Status();
}

}  // namespace dw
