#include "capture/source/elf_headers.h"

#include <elf.h>

#include <algorithm>
#include <array>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr const char* kNotVmcoreHint = "give /proc/vmcore or a copy of it";
constexpr const char* kTruncatedHint = "the vmcore is truncated or damaged; copy it again";

Error bad(const char* what, uint64_t offset) {
  return Error(ErrorKind::kBadInput, what).at(Where::kOffset, offset).hint(kTruncatedHint);
}

Error unsupported(const char* what) {
  return Error(ErrorKind::kUnsupported, what).hint(kNotVmcoreHint);
}

template <typename T>
Result<T> read_struct(const FileView& file, uint64_t offset) {
  T value;
  DW_TRY(read_exact_at(file, std::as_writable_bytes(std::span(&value, 1)), offset));
  return value;
}

Status check_identification(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return Error(ErrorKind::kBadInput, "not an ELF file").hint(kNotVmcoreHint);
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return unsupported("not a 64-bit ELF file");
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) return unsupported("not a little-endian ELF file");
  if (header.e_type != ET_CORE) return unsupported("an ELF file, but not a core");
  if (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64)
    return unsupported("a core of a machine that is not supported");
  if (header.e_phentsize != sizeof(Elf64_Phdr))
    return bad("the size of a program header is wrong", offsetof(Elf64_Ehdr, e_phentsize));
  return {};
}

// elf(5): with PN_XNUM the real number stands in sh_info of the first section header.
Result<uint64_t> program_header_count(const FileView& file, uint64_t size,
                                      const Elf64_Ehdr& header) {
  if (header.e_phnum != PN_XNUM) return uint64_t{header.e_phnum};
  if (!range_fits(header.e_shoff, sizeof(Elf64_Shdr), size))
    return bad("the first section header lies outside the file", offsetof(Elf64_Ehdr, e_shoff));
  DW_ASSIGN(Elf64_Shdr section, read_struct<Elf64_Shdr>(file, header.e_shoff));
  return uint64_t{section.sh_info};
}

Status add_segment(const Elf64_Phdr& program, uint64_t at, uint64_t size, ElfHeaders& headers) {
  if (!range_fits(program.p_offset, program.p_filesz, size))
    return bad("a PT_LOAD segment lies outside the file", at);
  if (program.p_filesz > program.p_memsz)
    return bad("a PT_LOAD segment is larger in the file than in memory", at);
  if (!range_fits(program.p_paddr, program.p_memsz, kMaxPhysicalAddress))
    return bad("a PT_LOAD segment lies beyond the largest physical address", at);
  headers.segments.push_back({.file_offset = program.p_offset,
                              .virtual_address = program.p_vaddr,
                              .physical_address = program.p_paddr,
                              .file_size = program.p_filesz,
                              .memory_size = program.p_memsz});
  return {};
}

Status add_notes(const FileView& file, const Elf64_Phdr& program, uint64_t at, uint64_t size,
                 ElfHeaders& headers) {
  if (!range_fits(program.p_offset, program.p_filesz, size))
    return bad("a PT_NOTE segment lies outside the file", at);
  uint64_t before = align_up(headers.notes.size(), 4);
  if (program.p_filesz > kMaxNotesBytes - std::min<uint64_t>(before, kMaxNotesBytes))
    return bad("the ELF notes are larger than 16 MiB", at);
  headers.notes.resize(before + program.p_filesz);
  return read_exact_at(file, std::span(headers.notes).subspan(before), program.p_offset);
}

Status add_program_header(const FileView& file, const Elf64_Phdr& program, uint64_t at,
                          uint64_t size, ElfHeaders& headers) {
  if (program.p_type == PT_LOAD) return add_segment(program, at, size, headers);
  if (program.p_type == PT_NOTE) return add_notes(file, program, at, size, headers);
  return {};
}

}  // namespace

Result<ElfHeaders> read_elf_headers(const FileView& file, uint64_t size) {
  if (size == 0) return Error(ErrorKind::kBadInput, "the file is empty").hint(kNotVmcoreHint);
  if (size < sizeof(Elf64_Ehdr)) return bad("too short for an ELF header", size);
  DW_ASSIGN(Elf64_Ehdr header, read_struct<Elf64_Ehdr>(file, 0));
  DW_TRY(check_identification(header));

  DW_ASSIGN(uint64_t count, program_header_count(file, size, header));
  if (count == 0) return bad("no program headers", offsetof(Elf64_Ehdr, e_phnum));
  if (count > kMaxSegments) return bad("too many program headers", offsetof(Elf64_Ehdr, e_phnum));
  if (!range_fits(header.e_phoff, count * sizeof(Elf64_Phdr), size))
    return bad("the program headers lie outside the file", offsetof(Elf64_Ehdr, e_phoff));

  ElfHeaders headers;
  headers.machine = static_cast<Machine>(header.e_machine);
  std::array<Elf64_Phdr, 64> batch;
  for (uint64_t i = 0; i < count; i += batch.size()) {
    size_t n = std::min<uint64_t>(batch.size(), count - i);
    uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
    DW_TRY(read_exact_at(file, std::as_writable_bytes(std::span(batch).first(n)), at));
    for (size_t k = 0; k < n; ++k)
      DW_TRY(add_program_header(file, batch[k], at + k * sizeof(Elf64_Phdr), size, headers));
  }
  // A segment may claim memory that it does not bring.
  if (std::ranges::none_of(headers.segments, [](const Segment& s) { return s.file_size > 0; }))
    return Error(ErrorKind::kBadInput,
                 "no PT_LOAD segment with bytes in the file, no memory to save")
        .hint(kNotVmcoreHint);
  return headers;
}

}  // namespace dw
