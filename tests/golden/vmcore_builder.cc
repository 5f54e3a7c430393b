#include "tests/golden/vmcore_builder.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace dw::golden {

namespace {

constexpr uint16_t kExtendedNumbering = 0xffff;  // PN_XNUM
// struct elf_prstatus of x86_64.
constexpr size_t kPrstatusBytes = 336;
constexpr size_t kPrstatusPid = 32;
constexpr size_t kPrstatusRip = 112 + 16 * 8;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::abort();
}

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

template <typename T>
void append(std::vector<std::byte>& to, const T& value) {
  auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void write_all(int fd, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n <= 0) fail("vmcore_builder: pwrite");
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace

VmcoreBuilder& VmcoreBuilder::add_ram(uint64_t physical_address, uint64_t size) {
  return add_segment({.physical_address = physical_address,
                      .memory_size = size,
                      .virtual_address = kDirectMap + physical_address,
                      .file_size = size});
}

VmcoreBuilder& VmcoreBuilder::add_segment(const SegmentSpec& segment) {
  segments_.push_back(segment);
  return *this;
}

VmcoreBuilder& VmcoreBuilder::write(uint64_t physical_address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    uint64_t in_page = physical_address % kPageBytes;
    size_t n = std::min<uint64_t>(bytes.size(), kPageBytes - in_page);
    Page& page = pages_[physical_address / kPageBytes];
    std::memcpy(page.data() + in_page, bytes.data(), n);
    physical_address += n;
    bytes = bytes.subspan(n);
  }
  return *this;
}

VmcoreBuilder& VmcoreBuilder::fill(uint64_t physical_address, uint64_t size, uint8_t byte) {
  return write(physical_address, std::vector<std::byte>(size, std::byte{byte}));
}

VmcoreBuilder& VmcoreBuilder::fill_random(uint64_t physical_address, uint64_t size, uint64_t seed) {
  std::vector<std::byte> bytes(size);
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (std::byte& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::byte>(state >> 32);
  }
  return write(physical_address, bytes);
}

void VmcoreBuilder::read(uint64_t physical_address, std::span<std::byte> into) const {
  for (size_t i = 0; i < into.size(); ++i) {
    auto page = pages_.find((physical_address + i) / kPageBytes);
    into[i] =
        page == pages_.end() ? std::byte{0} : page->second[(physical_address + i) % kPageBytes];
  }
}

VmcoreBuilder& VmcoreBuilder::add_note(std::string_view name, uint32_t type,
                                       std::span<const std::byte> bytes) {
  Elf64_Nhdr header{.n_namesz = static_cast<Elf64_Word>(name.size() + 1),
                    .n_descsz = static_cast<Elf64_Word>(bytes.size()),
                    .n_type = type};
  append(notes_, header);
  for (char c : name) notes_.push_back(static_cast<std::byte>(c));
  notes_.push_back(std::byte{0});
  notes_.resize(round_up(notes_.size(), 4));
  notes_.insert(notes_.end(), bytes.begin(), bytes.end());
  notes_.resize(round_up(notes_.size(), 4));
  return *this;
}

VmcoreBuilder& VmcoreBuilder::add_prstatus(uint32_t pid, uint64_t rip) {
  std::array<std::byte, kPrstatusBytes> status{};
  std::memcpy(status.data() + kPrstatusPid, &pid, sizeof(pid));
  std::memcpy(status.data() + kPrstatusRip, &rip, sizeof(rip));
  return add_note("CORE", NT_PRSTATUS, status);
}

VmcoreBuilder& VmcoreBuilder::add_cpus(unsigned count) {
  for (unsigned i = 0; i < count; ++i) add_prstatus(100 + i, 0xffffffff81000000 + i * 16);
  return *this;
}

VmcoreBuilder& VmcoreBuilder::add_vmcoreinfo(std::string_view text) {
  return add_note("VMCOREINFO", 0, std::as_bytes(std::span(text)));
}

VmcoreBuilder& VmcoreBuilder::add_raw_notes(std::span<const std::byte> bytes) {
  notes_.insert(notes_.end(), bytes.begin(), bytes.end());
  return *this;
}

VmcoreBuilder& VmcoreBuilder::set_machine(uint16_t machine) {
  machine_ = machine;
  return *this;
}

VmcoreBuilder& VmcoreBuilder::use_extended_numbering() {
  extended_numbering_ = true;
  return *this;
}

VmcoreBuilder& VmcoreBuilder::patch(uint64_t file_offset, std::span<const std::byte> bytes) {
  patches_.emplace_back(file_offset, std::vector<std::byte>(bytes.begin(), bytes.end()));
  return *this;
}

VmcoreBuilder& VmcoreBuilder::truncate_to(uint64_t file_size) {
  truncate_to_ = file_size;
  return *this;
}

uint64_t VmcoreBuilder::headers_size() const {
  return sizeof(Elf64_Ehdr) + (extended_numbering_ ? sizeof(Elf64_Shdr) : 0) +
         sizeof(Elf64_Phdr) * (segments_.size() + 1);
}

// Each segment starts at the same offset within a page as its physical address.
uint64_t VmcoreBuilder::file_offset_of_segment(size_t index) const {
  uint64_t at = round_up(headers_size() + notes_.size(), kPageBytes);
  for (size_t i = 0;; ++i) {
    at += segments_[i].file_gap;
    uint64_t offset = at + segments_[i].physical_address % kPageBytes;
    if (i == index) return offset;
    at = round_up(offset + segments_[i].file_size, kPageBytes);
  }
}

uint64_t VmcoreBuilder::file_size() const {
  if (segments_.empty()) return headers_size() + notes_.size();
  return file_offset_of_segment(segments_.size() - 1) + segments_.back().file_size;
}

std::vector<std::byte> VmcoreBuilder::headers() const {
  size_t count = segments_.size() + 1;
  uint64_t section_at = extended_numbering_ ? sizeof(Elf64_Ehdr) : 0;
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = machine_;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr) + (extended_numbering_ ? sizeof(Elf64_Shdr) : 0);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = extended_numbering_ ? kExtendedNumbering : static_cast<Elf64_Half>(count);
  header.e_shoff = section_at;

  std::vector<std::byte> out;
  append(out, header);
  if (extended_numbering_) {
    Elf64_Shdr section{};
    section.sh_info = static_cast<Elf64_Word>(count);
    append(out, section);
  }
  append(out, Elf64_Phdr{.p_type = PT_NOTE,
                         .p_flags = 0,
                         .p_offset = headers_size(),
                         .p_vaddr = 0,
                         .p_paddr = 0,
                         .p_filesz = notes_.size(),
                         .p_memsz = notes_.size(),
                         .p_align = 0});
  uint64_t at = round_up(headers_size() + notes_.size(), kPageBytes);
  for (const SegmentSpec& segment : segments_) {
    at += segment.file_gap;
    uint64_t offset = at + segment.physical_address % kPageBytes;
    append(out, Elf64_Phdr{.p_type = PT_LOAD,
                           .p_flags = PF_R | PF_W | PF_X,
                           .p_offset = offset,
                           .p_vaddr = segment.virtual_address,
                           .p_paddr = segment.physical_address,
                           .p_filesz = segment.file_size,
                           .p_memsz = segment.memory_size,
                           .p_align = 0});
    at = round_up(offset + segment.file_size, kPageBytes);
  }
  return out;
}

void VmcoreBuilder::write_segment(int fd, size_t index) const {
  const SegmentSpec& segment = segments_[index];
  uint64_t file_offset = file_offset_of_segment(index);
  uint64_t begin = segment.physical_address;
  uint64_t end = begin + segment.file_size;
  for (auto page = pages_.lower_bound(begin / kPageBytes);
       page != pages_.end() && page->first * kPageBytes < end; ++page) {
    uint64_t page_at = page->first * kPageBytes;
    uint64_t from = std::max(begin, page_at);
    uint64_t to = std::min(end, page_at + kPageBytes);
    write_all(fd, std::span(page->second).subspan(from - page_at, to - from),
              file_offset + (from - begin));
  }
}

void VmcoreBuilder::write_to_fd(int fd) const {
  if (::ftruncate(fd, static_cast<off_t>(file_size())) != 0) fail("vmcore_builder: ftruncate");
  write_all(fd, headers(), 0);
  write_all(fd, notes_, headers_size());
  for (size_t i = 0; i < segments_.size(); ++i) write_segment(fd, i);
  for (const auto& [offset, bytes] : patches_) write_all(fd, bytes, offset);
  if (truncate_to_ != ~uint64_t{0} && ::ftruncate(fd, static_cast<off_t>(truncate_to_)) != 0)
    fail("vmcore_builder: ftruncate");
}

void VmcoreBuilder::write_to(const std::string& path) const {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail(path.c_str());
  write_to_fd(fd);
  if (::close(fd) != 0) fail(path.c_str());
}

int VmcoreBuilder::write_to_memfd() const {
  int fd = ::memfd_create("vmcore", MFD_CLOEXEC);
  if (fd < 0) fail("vmcore_builder: memfd_create");
  write_to_fd(fd);
  return fd;
}

std::string memfd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

TemporaryVmcore::~TemporaryVmcore() { ::close(fd_); }

}  // namespace dw::golden
