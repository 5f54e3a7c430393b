// A vmcore: /proc/vmcore or a copy of it, and readers that fetch physical memory from it.
//
// Vmcore is immutable after open() and shared by all threads; each thread makes its own
// VmcoreReader, which must not outlive the Vmcore.
#pragma once

#include <cstdint>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/source/elf_headers.h"
#include "capture/source/physical_map.h"
#include "capture/source/physical_memory.h"

namespace dw {

// read(2) of /proc/vmcore maps and unmaps every page on its own (93 MB/s against 2.6 GB/s mapped);
// of a regular file it is the fastest way.
enum class ReadMethod : uint8_t { kAuto, kMap, kRead };

class Vmcore {
 public:
  // Errors name `path`. kAuto maps files of /proc and reads others.
  static Result<Vmcore> open(const char* path, ReadMethod method = ReadMethod::kAuto);
  // Errors name nothing. A part of a file that is mapped begins at a multiple of the page size.
  static Result<Vmcore> open(ReadableFile file, ReadMethod method = ReadMethod::kAuto);

  [[nodiscard]] const ElfHeaders& headers() const { return headers_; }
  [[nodiscard]] const PhysicalMap& memory() const { return memory_; }
  [[nodiscard]] uint64_t page_size() const { return memory_.page_size(); }
  [[nodiscard]] FileView file() const { return file_.get(); }
  [[nodiscard]] uint64_t file_size() const { return file_size_; }
  [[nodiscard]] bool mapped() const { return mapped_; }

 private:
  ReadableFile file_;
  ElfHeaders headers_;
  PhysicalMap memory_;
  uint64_t file_size_ = 0;
  bool mapped_ = false;
};

class VmcoreReader final : public PhysicalMemory {
 public:
  explicit VmcoreReader(const Vmcore& vmcore) : vmcore_(&vmcore) {}
  VmcoreReader(VmcoreReader&& other) noexcept;
  VmcoreReader& operator=(VmcoreReader&&) = delete;
  VmcoreReader(const VmcoreReader&) = delete;
  VmcoreReader& operator=(const VmcoreReader&) = delete;
  ~VmcoreReader() override;

  // Error kIo if the kernel cannot give it.
  Status read(uint64_t address, MutableBytes into) override;

  // Copies pages [first_pfn, first_pfn + count), count at most 64, to `into` (count pages). Bit i
  // of the result is set if page first_pfn + i is now there whole; of a page that is only partly
  // in the vmcore the rest is zeros. Pages that are not in the vmcore at all have a clear bit.
  [[nodiscard]] uint64_t read_pages(uint64_t first_pfn, unsigned count, MutableBytes into);

 private:
  Status copy(uint64_t file_offset, MutableBytes into);
  bool copy_mapped(uint64_t file_offset, MutableBytes into);
  bool map_window(uint64_t file_offset);
  void unmap();
  bool read_page_in_pieces(uint64_t pfn, MutableBytes page);

  const Vmcore* vmcore_;
  const std::byte* window_ = nullptr;  // mapping of [window_begin_, window_begin_ + window_size_)
  uint64_t window_begin_ = 0;
  size_t window_size_ = 0;
};

}  // namespace dw
