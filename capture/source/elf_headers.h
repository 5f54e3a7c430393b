// The headers of an ELF vmcore: what the crashed kernel and kexec left us as a description of RAM.
//
// Source: elf(5); fs/proc/vmcore.c and arch/x86/kernel/crash.c of the kernel write what we read.
// Everything in the file is untrusted. Thread safety: plain data after parsing.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"

namespace dw {

// A PT_LOAD program header. Addresses and sizes in bytes. [offset, offset + file_size) lies within
// the file and [physical_address, physical_address + memory_size) within kMaxPhysicalAddress.
struct Segment {
  uint64_t file_offset;
  uint64_t virtual_address;
  uint64_t physical_address;
  uint64_t file_size;
  uint64_t memory_size;

  friend bool operator==(const Segment&, const Segment&) = default;
};

enum class Machine : uint16_t { kX86_64 = 62, kAarch64 = 183 };

struct ElfHeaders {
  Machine machine = Machine::kX86_64;
  std::vector<Segment> segments;  // in the file's order
  std::vector<std::byte> notes;   // every PT_NOTE's content, one after another, each 4-aligned
};

// More than any kernel writes: 65,535 segments is what e_phnum can hold without PN_XNUM.
inline constexpr uint64_t kMaxSegments = 1 << 18;
// x86_64 and aarch64 (LPA2) have at most 52 bits of physical address.
inline constexpr uint64_t kMaxPhysicalAddress = uint64_t{1} << 52;
// 8,192 CPUs' NT_PRSTATUS notes take 3 MiB.
inline constexpr uint64_t kMaxNotesBytes = 16 << 20;

// Reads and checks the headers of the ELF core file `file` of `size` bytes. Errors: kBadInput for a
// file that is not one or is damaged (with the offset), kUnsupported for a valid ELF file of
// another kind (32-bit, big-endian, not a core, other machine).
Result<ElfHeaders> read_elf_headers(const FileView& file, uint64_t size);

}  // namespace dw
