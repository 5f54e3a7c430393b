#include "tests/bench/synthetic_vmcore.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "capture/base/checked.h"
#include "capture/base/fd.h"
#include "tests/golden/memmap_builder.h"

namespace dw::bench {

namespace {

constexpr uint64_t kLowBytes = 128 << 20;
constexpr uint64_t k2M = 2 << 20;
constexpr uint64_t kSectionsPerGiB = kGiB / golden::kSectionBytes;
constexpr uint64_t kSectionMemmap = golden::kSectionPages * kStructPageBytes;
constexpr uint64_t kSectionsPerRoot = 128;
constexpr uint64_t kSectionFlags = 15;  // present, with memmap, online, early
// So that no two segments follow each other both in memory and in the file.
constexpr uint64_t kGap = 1 << 20;

void write_at(int fd, Bytes bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n <= 0) fail("the synthetic vmcore cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

// The direct map in leaves of 1 GiB, the memmap in leaves of 2 MiB.
void map_memory(golden::KernelBuilder& kernel, uint64_t gib) {
  for (uint64_t at = kLowBytes; at < kGiB; at += k2M) kernel.map(kernel.direct_map() + at, at, k2M);
  for (uint64_t i = 1; i < gib; ++i) kernel.map(kernel.direct_map() + i * kGiB, i * kGiB, kGiB);
  for (uint64_t i = 0; i < gib; ++i)
    for (uint64_t at = 0; at < kMemmapBytes; at += k2M)
      kernel.map(kernel.vmemmap_base() + i * kMemmapBytes + at, memmap_address(i) + at, k2M);
}

void describe_sections(golden::KernelBuilder& kernel, uint64_t gib) {
  static_assert(kSectionMemmap * kSectionsPerGiB == kMemmapBytes);
  static_assert(kMaxGiB * kSectionsPerGiB / kSectionsPerRoot * 8 <= golden::kPageBytes);
  uint64_t root = kernel.section_entry_address(0);
  for (uint64_t number = 1; number < gib * kSectionsPerGiB; ++number) {
    if (number % kSectionsPerRoot == 0) {
      root = kernel.allocate(golden::kPageBytes);
      kernel.memory().store(kernel.section_table() + number / kSectionsPerRoot * 8,
                            kernel.direct_map() + root);
    }
    kernel.memory().store(root + number % kSectionsPerRoot * 32,
                          kernel.vmemmap_base() + kSectionFlags);
  }
}

class Writer {
 public:
  Writer(const golden::KernelBuilder& kernel, const SyntheticVmcore& spec, Bytes notes)
      : kernel_(kernel), spec_(spec), notes_(notes) {
    uint64_t headers = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) * (2 * spec.gib + 3);
    notes_at_ = align_up(headers, golden::kPageBytes);
    low_at_ = align_up(notes_at_ + notes.size(), golden::kPageBytes) + kGap;
    memmap_at_ = low_at_ + kLowBytes + kGap;
    hole_at_ = memmap_at_ + spec.copies * kMemmapBytes + kGap;
  }

  void write(int fd, const golden::VmcoreBuilder& memory, const SampleMemmap& sample) {
    if (::ftruncate(fd, static_cast<off_t>(hole_at_ + kGiB)) != 0)
      fail("the synthetic vmcore cannot be written");
    write_at(fd, headers(), 0);
    write_at(fd, notes_, notes_at_);
    std::vector<std::byte> page(golden::kPageBytes);
    for (uint64_t at = golden::kPageBytes; at < kLowBytes; at += page.size()) {
      memory.read(at, page);
      bool zero = std::ranges::all_of(page, [](std::byte b) { return b == std::byte{0}; });
      if (!zero) write_at(fd, page, low_at_ + at);
    }
    for (uint64_t i = 0; i < spec_.copies; ++i)
      write_at(fd, sample.struct_pages, memmap_at_ + i * kMemmapBytes);
  }

 private:
  void add(uint32_t type, uint64_t offset, uint64_t virtual_address, uint64_t physical_address,
           uint64_t size) {
    Elf64_Phdr header{.p_type = type,
                      .p_flags = PF_R,
                      .p_offset = offset,
                      .p_vaddr = virtual_address,
                      .p_paddr = physical_address,
                      .p_filesz = size,
                      .p_memsz = size,
                      .p_align = 0};
    append(std::as_bytes(std::span(&header, 1)));
  }
  void add_ram(uint64_t offset, uint64_t physical_address, uint64_t size) {
    add(PT_LOAD, offset, kernel_.direct_map() + physical_address, physical_address, size);
  }
  void append(Bytes bytes) {
    size_t at = headers_.size();
    headers_.resize(at + bytes.size());
    std::ranges::copy(bytes, headers_.begin() + static_cast<ptrdiff_t>(at));
  }

  Bytes headers() {
    Elf64_Ehdr header{};
    std::copy_n(ELFMAG, SELFMAG, header.e_ident);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_CORE;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof(header);
    header.e_ehsize = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(2 * spec_.gib + 3);
    append(std::as_bytes(std::span(&header, 1)));

    constexpr uint64_t kImage = 0x1000000;
    add(PT_NOTE, notes_at_, 0, 0, notes_.size());
    add(PT_LOAD, low_at_ + kImage, golden::kImageMap + kImage, kImage, k2M);
    add_ram(low_at_ + golden::kPageBytes, golden::kPageBytes, kLowBytes - golden::kPageBytes);
    for (uint64_t i = 0; i < spec_.gib; ++i) {
      uint64_t begin = i == 0 ? kLowBytes : i * kGiB;
      add_ram(hole_at_, begin, memmap_address(i) - begin);
      add_ram(memmap_at_ + i % spec_.copies * kMemmapBytes, memmap_address(i), kMemmapBytes);
    }
    return headers_;
  }

  const golden::KernelBuilder& kernel_;
  const SyntheticVmcore& spec_;
  Bytes notes_;
  std::vector<std::byte> headers_;
  uint64_t notes_at_;
  uint64_t low_at_;  // of physical address 0
  uint64_t memmap_at_;
  uint64_t hole_at_;
};

}  // namespace

void write_synthetic_vmcore(const SampleMemmap& sample, const SyntheticVmcore& spec,
                            const char* path) {
  if (spec.gib < 1 || spec.gib > kMaxGiB || spec.copies < 1) fail("1 to 4096 GiB, please");
  golden::KernelBuilder kernel(golden::KernelSpec{.era = &golden::k6_12});
  kernel.without_vmcoreinfo().build();
  map_memory(kernel, spec.gib);
  describe_sections(kernel, spec.gib);
  golden::VmcoreBuilder& memory = kernel.memory();
  memory.add_vmcoreinfo(sample.page_keys + page_key_lines(kernel.vmcoreinfo(), false));

  Fd fd(::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (fd.get() < 0) fail("the synthetic vmcore cannot be made");
  Writer(kernel, spec, memory.notes()).write(fd.get(), memory, sample);
}

}  // namespace dw::bench
