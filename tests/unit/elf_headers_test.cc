#include "capture/source/elf_headers.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <unistd.h>

#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

// One segment of 64 KiB at 1 MiB and one note.
VmcoreBuilder plain() {
  VmcoreBuilder builder;
  return builder.add_vmcoreinfo("OSRELEASE=6.1.0\n").add_ram(0x100000, 0x10000);
}

Result<ElfHeaders> parse(const VmcoreBuilder& builder) {
  Fd fd(builder.write_to_memfd());
  return read_elf_headers(fd.get(), file_size(fd.get()).value());
}

template <typename T>
VmcoreBuilder with(uint64_t offset, T value) {
  return plain().patch(offset, bytes_of(value));
}

constexpr uint64_t kNoteHeader = sizeof(Elf64_Ehdr);
constexpr uint64_t kLoadHeader = kNoteHeader + sizeof(Elf64_Phdr);

void check_error(const VmcoreBuilder& builder, ErrorKind kind, std::string_view text) {
  Result<ElfHeaders> headers = parse(builder);
  REQUIRE_FALSE(headers.ok());
  CHECK(headers.error().kind() == kind);
  CHECK_MESSAGE(contains(text_of(headers), text), text_of(headers));
  // Every message tells what to do.
  CHECK(contains(text_of(headers), "; "));
}

void check_bad(const VmcoreBuilder& builder, std::string_view text) {
  check_error(builder, ErrorKind::kBadInput, text);
}

void check_unsupported(const VmcoreBuilder& builder, std::string_view text) {
  check_error(builder, ErrorKind::kUnsupported, text);
}

}  // namespace

TEST_CASE("elf_headers: segments and notes of a good file") {
  Result<ElfHeaders> headers = parse(plain());
  REQUIRE(headers.ok());
  CHECK(headers->machine == Machine::kX86_64);
  REQUIRE(headers->segments.size() == 1);
  CHECK(headers->segments[0] == Segment{.file_offset = plain().file_offset_of_segment(0),
                                        .virtual_address = golden::kDirectMap + 0x100000,
                                        .physical_address = 0x100000,
                                        .file_size = 0x10000,
                                        .memory_size = 0x10000});
  CHECK(headers->notes == plain().notes());
}

TEST_CASE("elf_headers: an empty file") { check_bad(plain().truncate_to(0), "the file is empty"); }

TEST_CASE("elf_headers: too short for a header") {
  check_bad(plain().truncate_to(1), "too short for an ELF header");
  check_bad(plain().truncate_to(sizeof(Elf64_Ehdr) - 1), "too short for an ELF header");
}

TEST_CASE("elf_headers: not ELF") { check_bad(with(0, uint8_t{0x7e}), "not an ELF file"); }

TEST_CASE("elf_headers: of another kind") {
  check_unsupported(with(EI_CLASS, uint8_t{ELFCLASS32}), "not a 64-bit ELF file");
  check_unsupported(with(EI_DATA, uint8_t{ELFDATA2MSB}), "not a little-endian ELF file");
  check_unsupported(with(offsetof(Elf64_Ehdr, e_type), uint16_t{ET_EXEC}), "but not a core");
  check_unsupported(plain().set_machine(EM_PPC64), "of a machine that is not supported");
}

TEST_CASE("elf_headers: aarch64 is read") {
  CHECK(parse(plain().set_machine(EM_AARCH64))->machine == Machine::kAarch64);
}

TEST_CASE("elf_headers: the size of a program header is wrong") {
  check_bad(with(offsetof(Elf64_Ehdr, e_phentsize), uint16_t{32}), "size of a program header");
}

TEST_CASE("elf_headers: program headers outside the file") {
  constexpr const char* kOutside = "the program headers lie outside the file";
  check_bad(with(offsetof(Elf64_Ehdr, e_phoff), uint64_t{1} << 40), kOutside);
  check_bad(with(offsetof(Elf64_Ehdr, e_phoff), ~uint64_t{0} - 10), kOutside);
  check_bad(plain().truncate_to(kLoadHeader + 10), kOutside);
}

TEST_CASE("elf_headers: no program headers at all") {
  check_bad(with(offsetof(Elf64_Ehdr, e_phnum), uint16_t{0}), "no program headers");
}

TEST_CASE("elf_headers: PN_XNUM takes the number from the first section") {
  VmcoreBuilder builder = plain().use_extended_numbering();
  for (uint64_t i = 1; i <= 100; ++i) builder.add_ram(0x100000 + i * 0x10000, 4096);
  Result<ElfHeaders> headers = parse(builder);
  REQUIRE(headers.ok());
  CHECK(headers->segments.size() == 101);
  CHECK(headers->segments[100].physical_address == 0x100000 + 100 * 0x10000);
}

TEST_CASE("elf_headers: PN_XNUM without a section header, or with too large a number") {
  check_bad(with(offsetof(Elf64_Ehdr, e_phnum), uint16_t{PN_XNUM})
                .patch(offsetof(Elf64_Ehdr, e_shoff), bytes_of(uint64_t{1} << 60)),
            "the first section header lies outside the file");
  uint32_t count = (1 << 18) + 1;
  check_bad(plain().use_extended_numbering().patch(
                sizeof(Elf64_Ehdr) + offsetof(Elf64_Shdr, sh_info), bytes_of(count)),
            "too many program headers");
}

TEST_CASE("elf_headers: a segment outside the file, or one that wraps") {
  constexpr const char* kOutside = "a PT_LOAD segment lies outside the file at offset 0x78";
  uint64_t offset_at = kLoadHeader + offsetof(Elf64_Phdr, p_offset);
  check_bad(with(offset_at, uint64_t{1} << 40), kOutside);
  check_bad(with(offset_at, ~uint64_t{0} - 0xfff), kOutside);
  check_bad(with(kLoadHeader + offsetof(Elf64_Phdr, p_filesz), ~uint64_t{0}), kOutside);
  check_bad(plain().truncate_to(plain().file_size() - 1), kOutside);
}

TEST_CASE("elf_headers: a segment that is larger in the file than in memory") {
  check_bad(with(kLoadHeader + offsetof(Elf64_Phdr, p_memsz), uint64_t{0xffff}),
            "larger in the file than in memory");
}

TEST_CASE("elf_headers: a segment beyond 2^52, or one that wraps there") {
  constexpr const char* kBeyond = "beyond the largest physical address";
  uint64_t address_at = kLoadHeader + offsetof(Elf64_Phdr, p_paddr);
  uint64_t last = (uint64_t{1} << 52) - 0x10000;
  CHECK(parse(with(address_at, last)).ok());
  check_bad(with(address_at, last + 1), kBeyond);
  check_bad(with(address_at, ~uint64_t{0} - 0xffff), kBeyond);
}

TEST_CASE("elf_headers: notes outside the file, or too large") {
  check_bad(with(kNoteHeader + offsetof(Elf64_Phdr, p_offset), uint64_t{1} << 40),
            "a PT_NOTE segment lies outside the file");
  check_bad(with(kNoteHeader + offsetof(Elf64_Phdr, p_filesz), ~uint64_t{0} - 8),
            "a PT_NOTE segment lies outside the file");
  check_bad(with(kNoteHeader + offsetof(Elf64_Phdr, p_filesz), kMaxNotesBytes + 1)
                .truncate_to(kMaxNotesBytes + 8192),
            "the ELF notes are larger than 16 MiB");
}

TEST_CASE("elf_headers: several notes segments together are bounded too") {
  // Turns each of the segments into a PT_NOTE of 9 MiB of zeros.
  VmcoreBuilder builder = plain().add_ram(0x200000, 0x1000).add_ram(0x300000, 0x1000);
  for (uint64_t i = 0; i < 2; ++i) {
    uint64_t at = kLoadHeader + i * sizeof(Elf64_Phdr);
    builder.patch(at, bytes_of(uint32_t{PT_NOTE}));
    builder.patch(at + offsetof(Elf64_Phdr, p_filesz), bytes_of(uint64_t{9 << 20}));
  }
  check_bad(builder.truncate_to(10 << 20), "the ELF notes are larger than 16 MiB");
}

TEST_CASE("elf_headers: a core without memory") {
  check_bad(with(kLoadHeader, uint32_t{PT_NULL}), "no memory to save");
}

TEST_CASE("elf_headers: a core whose segments bring no byte of memory") {
  check_bad(with(kLoadHeader + offsetof(Elf64_Phdr, p_filesz), uint64_t{0}), "no memory to save");
}
