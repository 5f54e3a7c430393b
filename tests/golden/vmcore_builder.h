// Builds small ELF vmcores for tests: segments, the memory behind them, notes, and damage.
//
// Memory is kept sparse: pages that are never written are holes in the file and read as zeros, so a
// vmcore may claim terabytes. An address that lies in several segments is written to each of them.
// A broken expectation (disk full, a write outside every segment) stops the test program.
// Thread safety: none; one builder per test.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace dw::golden {

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kDirectMap = 0xffff888000000000;  // x86_64, 4-level, without KASLR

// A PT_LOAD program header. Addresses and sizes in bytes.
struct SegmentSpec {
  uint64_t physical_address = 0;
  uint64_t memory_size = 0;
  uint64_t virtual_address = 0;
  uint64_t file_size = 0;  // at most memory_size unless a test wants a damaged header
  uint64_t file_gap = 0;   // unused bytes before the segment's data, a multiple of 4096
};

class VmcoreBuilder {
 public:
  // A segment of the direct map whose memory is all in the file. Need not be page aligned.
  VmcoreBuilder& add_ram(uint64_t physical_address, uint64_t size);
  VmcoreBuilder& add_segment(const SegmentSpec& segment);

  // Contents of physical memory, at any address and across pages. The latest write wins.
  VmcoreBuilder& write(uint64_t physical_address, std::span<const std::byte> bytes);
  VmcoreBuilder& write(uint64_t physical_address, std::string_view text) {
    return write(physical_address, std::as_bytes(std::span(text)));
  }
  template <typename T>
  VmcoreBuilder& store(uint64_t physical_address, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return write(physical_address, std::as_bytes(std::span(&value, 1)));
  }
  VmcoreBuilder& fill(uint64_t physical_address, uint64_t size, uint8_t byte);
  // Pseudo-random bytes that depend on `seed` only: a page that does not compress.
  VmcoreBuilder& fill_random(uint64_t physical_address, uint64_t size, uint64_t seed);
  // What was written, zeros elsewhere.
  void read(uint64_t physical_address, std::span<std::byte> into) const;

  // Notes stand in the file in the order of these calls, in one PT_NOTE.
  VmcoreBuilder& add_note(std::string_view name, uint32_t type, std::span<const std::byte> bytes);
  // NT_PRSTATUS of "CORE" as the kernel writes it (336 bytes on x86_64), with rip and pid set.
  VmcoreBuilder& add_prstatus(uint32_t pid, uint64_t rip = 0);
  VmcoreBuilder& add_cpus(unsigned count);
  VmcoreBuilder& add_vmcoreinfo(std::string_view text);
  // Bytes put among the notes as they are: the way to a damaged note.
  VmcoreBuilder& add_raw_notes(std::span<const std::byte> bytes);

  // EM_X86_64 by default.
  VmcoreBuilder& set_machine(uint16_t machine);
  // Stores PN_XNUM in e_phnum and the number of headers in a section header.
  VmcoreBuilder& use_extended_numbering();
  // Overwrites bytes of the finished file, after everything else. May lie beyond its end.
  VmcoreBuilder& patch(uint64_t file_offset, std::span<const std::byte> bytes);
  // Cuts (or extends) the finished file.
  VmcoreBuilder& truncate_to(uint64_t file_size);

  // Where the first byte of segment `index` (in the order added) stands in the file.
  [[nodiscard]] uint64_t file_offset_of_segment(size_t index) const;
  [[nodiscard]] uint64_t file_size() const;

  // The notes and headers as they will stand in the file, to damage or to fuzz.
  [[nodiscard]] const std::vector<std::byte>& notes() const { return notes_; }

  void write_to(const std::string& path) const;
  // A file in memory, open for reading and writing, that the caller closes. Open it again by name
  // with memfd_path().
  [[nodiscard]] int write_to_memfd() const;

 private:
  using Page = std::array<std::byte, kPageBytes>;

  [[nodiscard]] std::vector<std::byte> headers() const;
  [[nodiscard]] uint64_t headers_size() const;
  void write_to_fd(int fd) const;
  void write_segment(int fd, size_t index) const;

  std::vector<SegmentSpec> segments_;
  std::map<uint64_t, Page> pages_;  // by pfn
  std::vector<std::byte> notes_;
  std::vector<std::pair<uint64_t, std::vector<std::byte>>> patches_;
  uint64_t truncate_to_ = ~uint64_t{0};
  uint16_t machine_ = 62;
  bool extended_numbering_ = false;
};

// /proc/self/fd/N
[[nodiscard]] std::string memfd_path(int fd);

// A vmcore in memory that goes away with the object.
class TemporaryVmcore {
 public:
  explicit TemporaryVmcore(const VmcoreBuilder& builder)
      : fd_(builder.write_to_memfd()), path_(memfd_path(fd_)) {}
  TemporaryVmcore(const TemporaryVmcore&) = delete;
  TemporaryVmcore& operator=(const TemporaryVmcore&) = delete;
  ~TemporaryVmcore();

  [[nodiscard]] const char* path() const { return path_.c_str(); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  std::string path_;
};

}  // namespace dw::golden
