#include "capture/kernel/notes.h"

#include <doctest/doctest.h>
#include <elf.h>

#include <string>
#include <vector>

#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

Elf64_Nhdr header(uint32_t name_size, uint32_t description_size) {
  return {.n_namesz = name_size, .n_descsz = description_size, .n_type = NT_PRSTATUS};
}

VmcoreBuilder& add_raw(VmcoreBuilder& builder, const Elf64_Nhdr& note) {
  return builder.add_raw_notes(bytes_of(note));
}

std::string_view vmcoreinfo_in(const VmcoreBuilder& builder) {
  NotesSummary summary = summarize_notes(builder.notes());
  return {reinterpret_cast<const char*>(builder.notes().data()) + summary.vmcoreinfo_offset,
          summary.vmcoreinfo_size};
}

}  // namespace

TEST_CASE("notes: CPUs are counted and VMCOREINFO is found") {
  VmcoreBuilder builder;
  builder.add_cpus(3).add_vmcoreinfo("OSRELEASE=6.1.0\n").add_note("QEMU", 0, {});
  NotesSummary summary = summarize_notes(builder.notes());
  CHECK(summary.cpu_count == 3);
  CHECK_FALSE(summary.damaged);
  CHECK(vmcoreinfo_in(builder) == "OSRELEASE=6.1.0\n");
}

TEST_CASE("notes: names and descriptions of odd length are padded to four bytes") {
  VmcoreBuilder builder;
  std::array<std::byte, 5> five{std::byte{1}};
  builder.add_note("AB", 1, five).add_note("ABCD", 2, five).add_note("", 3, five);
  NoteWalker walker(builder.notes());
  for (uint32_t type = 1; type <= 3; ++type) {
    std::optional<Note> note = walker.next();
    REQUIRE(note.has_value());
    CHECK(note->type == type);
    CHECK(note->description.size() == 5);
    CHECK(note->description[0] == std::byte{1});
  }
  CHECK_FALSE(walker.next().has_value());
  CHECK_FALSE(walker.damaged());
}

TEST_CASE("notes: empty ones between the CPUs are passed over") {
  VmcoreBuilder builder;
  builder.add_cpus(1);
  builder.add_raw_notes(std::vector<std::byte>(13 * sizeof(Elf64_Nhdr)));
  builder.add_cpus(1).add_vmcoreinfo("A=1\n");
  builder.add_raw_notes(std::vector<std::byte>(7));
  NotesSummary summary = summarize_notes(builder.notes());
  CHECK(summary.cpu_count == 2);
  CHECK_FALSE(summary.damaged);
  CHECK(vmcoreinfo_in(builder) == "A=1\n");
}

TEST_CASE("notes: a length that lies ends the walk and keeps what came before") {
  const uint32_t all = ~uint32_t{0};
  for (Elf64_Nhdr lie : {header(5, all), header(all, 4), header(all, all), header(5, 100),
                         header(100, 0), header(0, 1), header(0x7fffffff, 0x7fffffff)}) {
    VmcoreBuilder builder;
    builder.add_cpus(2).add_vmcoreinfo("A=1\n");
    add_raw(builder, lie).add_cpus(0);
    NotesSummary summary = summarize_notes(builder.notes());
    CHECK(summary.damaged);
    CHECK(summary.cpu_count == 2);
    CHECK(vmcoreinfo_in(builder) == "A=1\n");
  }
}

TEST_CASE("notes: cut at every length, nothing is read beyond the end") {
  VmcoreBuilder builder;
  builder.add_cpus(1).add_vmcoreinfo("OSRELEASE=6.1.0\n");
  for (size_t size = 0; size <= builder.notes().size(); ++size) {
    // A copy of its own, so that a sanitizer sees a step too far.
    std::vector<std::byte> cut(builder.notes().begin(),
                               builder.notes().begin() + static_cast<ptrdiff_t>(size));
    NotesSummary summary = summarize_notes(cut);
    CHECK(summary.vmcoreinfo_offset + summary.vmcoreinfo_size <= size);
  }
}

TEST_CASE("notes: the first VMCOREINFO that says something wins") {
  VmcoreBuilder builder;
  builder.add_vmcoreinfo("").add_vmcoreinfo("A=1\n").add_vmcoreinfo("A=2\n");
  CHECK(vmcoreinfo_in(builder) == "A=1\n");
}

TEST_CASE("notes: none at all") {
  NotesSummary summary = summarize_notes({});
  CHECK(summary.cpu_count == 0);
  CHECK(summary.vmcoreinfo_size == 0);
  CHECK_FALSE(summary.damaged);
}
