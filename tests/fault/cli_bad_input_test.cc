// The executable and files that are not what they should be: one clear line, status 1, and nothing
// left in the target.

#include <doctest/doctest.h>
#include <elf.h>

#include <cstring>
#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr uint64_t kLoadHeader = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

template <typename T>
VmcoreBuilder with(uint64_t offset, T value) {
  return small_crash().patch(offset, bytes_of(value));
}

void check_bad_vmcore(const VmcoreBuilder& builder, const std::string& what) {
  TempDir dir;
  builder.write_to(dir / "input");
  check_refused(capture(dir / "input", {dir / "dumps"}), dir / "input", what);
  CHECK(dir.tree() == std::vector<std::string>{"input"});
  check_refused(dumpwright({"info", dir / "input"}), dir / "input", what);
}

}  // namespace

TEST_CASE("cli: an empty file") { check_bad_vmcore(small_crash().truncate_to(0), "is empty"); }

TEST_CASE("cli: a file that is cut in its headers") {
  check_bad_vmcore(small_crash().truncate_to(40), "too short for an ELF header");
  check_bad_vmcore(small_crash().truncate_to(100), "the program headers lie outside the file");
}

TEST_CASE("cli: a file that is cut in its memory") {
  check_bad_vmcore(small_crash().truncate_to(small_crash().file_size() - 4096),
                   "a PT_LOAD segment lies outside the file");
}

TEST_CASE("cli: not an ELF file") { check_bad_vmcore(with(1, 'X'), "not an ELF file"); }

TEST_CASE("cli: ELF of another kind") {
  check_bad_vmcore(with(EI_CLASS, uint8_t{ELFCLASS32}), "not a 64-bit ELF file");
  check_bad_vmcore(with(EI_DATA, uint8_t{ELFDATA2MSB}), "not a little-endian ELF file");
  check_bad_vmcore(with(offsetof(Elf64_Ehdr, e_type), uint16_t{ET_DYN}), "but not a core");
  check_bad_vmcore(small_crash().set_machine(EM_RISCV), "a machine that is not supported");
}

TEST_CASE("cli: program headers that point outside the file, or wrap") {
  constexpr const char* kOutside = "lies outside the file at offset 0x";
  check_bad_vmcore(with(kLoadHeader + offsetof(Elf64_Phdr, p_offset), uint64_t{1} << 50), kOutside);
  check_bad_vmcore(with(kLoadHeader + offsetof(Elf64_Phdr, p_offset), ~uint64_t{0}), kOutside);
  check_bad_vmcore(with(kLoadHeader + offsetof(Elf64_Phdr, p_paddr), ~uint64_t{0} - 4096),
                   "lies beyond the largest physical address");
  check_bad_vmcore(with(offsetof(Elf64_Ehdr, e_phoff), ~uint64_t{0} - 64),
                   "the program headers lie outside the file");
  check_bad_vmcore(with(sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), uint64_t{1} << 60),
                   "a PT_NOTE segment lies outside the file");
}

TEST_CASE("cli: a core whose segments bring no memory") {
  VmcoreBuilder builder;
  builder.add_segment({.physical_address = 0x1000, .memory_size = 0x1000});
  check_bad_vmcore(builder, "no memory to save");
}

TEST_CASE("cli: a vmcore that is not there, or a directory") {
  TempDir dir;
  check_refused(capture("/no/such/vmcore", {dir / "dumps"}), "/no/such/vmcore",
                "No such file or directory");
  Outcome directory = capture(dir.path(), {dir / "dumps"});
  CHECK(directory.status == 1);
  CHECK(contains(directory.err, dir.path() + ": "));
  CHECK(dir.tree().empty());
}

TEST_CASE("cli: notes that lie about their length cost the notes only") {
  TempDir dir;
  VmcoreBuilder builder = small_crash();
  builder.add_raw_notes(bytes_of(Elf64_Nhdr{.n_namesz = ~0U, .n_descsz = ~0U, .n_type = 1}));
  builder.write_to(dir / "input");
  Outcome outcome = capture(dir / "input", {dir / "dumps"});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.err, "warning: the ELF notes are damaged"));
  check_dump(dir / "dumps/" + kSmallName + "/vmcore", known_pages(builder), true);
}

TEST_CASE("cli: no VMCOREINFO and no notes at all: everything is saved, with a warning") {
  TempDir dir;
  VmcoreBuilder builder;
  builder.add_ram(0x1000, 0x8000).fill_random(0x2000, 0x2000, 5);
  builder.write_to(dir / "input");
  Outcome outcome = capture(dir / "input", {dir / "dumps"});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.err, "warning: no VMCOREINFO"));
  check_dump(dir / "dumps/unknown-19700101T000000Z/vmcore", known_pages(builder), true);
}

TEST_CASE("cli: two vmcores without notes are two crashes") {
  TempDir dir;
  for (uint64_t seed : {1, 2}) {
    VmcoreBuilder builder;
    builder.add_ram(0x1000, 0x4000).fill_random(0x2000, 0x1000, seed);
    builder.write_to(dir / "input");
    CHECK(capture(dir / "input", {dir / "dumps"}).status == 0);
    std::string name = seed == 1 ? "unknown-19700101T000000Z" : "unknown-19700101T000000Z-2";
    check_dump(dir / "dumps/" + name + "/vmcore", known_pages(builder), true);
  }
}

TEST_CASE("cli: names in the vmcore cannot write to the console") {
  TempDir dir;
  VmcoreBuilder builder = small_crash("evil\x1b[2J\nhost");
  UtsName name{};
  builder.read(kImagePhysical + kUtsOffset, std::as_writable_bytes(std::span(&name, 1)));
  std::strcpy(name.release, "6.1\x1b]0;x\a\n");
  builder.store(kImagePhysical + kUtsOffset, name);
  builder.write_to(dir / "input");
  Outcome outcome = capture(dir / "input", {dir / "dumps"});
  CHECK(outcome.status == 0);
  for (const std::string& line : outcome.lines()) CHECK(line.starts_with("dumpwright: "));
  CHECK_FALSE(contains(outcome.err, "\x1b"));
  Outcome info = dumpwright({"info", dir / "input"});
  CHECK(info.status == 0);
  CHECK_FALSE(contains(info.out, "\x1b"));
}

TEST_CASE("cli: usage errors have status 2") {
  TempDir dir;
  small_crash().write_to(dir / "input");
  std::string input = dir / "input";
  CHECK(dumpwright({}).status == 2);
  CHECK(dumpwright({"no-such-command"}).status == 2);
  CHECK(dumpwright({"info"}).status == 2);
  CHECK(dumpwright({"info", "a", "b"}).status == 2);
  CHECK(capture(input, {}).status == 2);
  CHECK(capture(input, {"--nonsense=1", dir / "dumps"}).status == 2);
  CHECK(capture(input, {"--compress", "brotli", dir / "dumps"}).status == 2);
  CHECK(capture(input, {"--threads", "0", dir / "dumps"}).status == 2);
  CHECK(dir.tree() == std::vector<std::string>{"input"});
  CHECK(dumpwright({"--help"}).status == 0);
  CHECK(dumpwright({"capture", "--help"}).status == 0);
  CHECK(dumpwright({"info", "--help"}).status == 0);
  CHECK(contains(dumpwright({"version"}).out, "dumpwright "));
}
