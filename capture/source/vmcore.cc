#include "capture/source/vmcore.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/base/checked.h"
#include "capture/source/guarded_copy.h"

namespace dw {

namespace {

// The kernel fills in every page table entry at once when /proc/vmcore is mapped, so a window
// costs in proportion to its size whether it is read or not.
constexpr size_t kWindowBytes = 4 << 20;

// x86_64 has no other page size; aarch64's stands in VMCOREINFO, which is read later.
constexpr uint64_t kPageSize = 4096;

bool on_proc(int fd) {
  struct statfs status;
  return ::fstatfs(fd, &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

}  // namespace

Result<Vmcore> Vmcore::open(const char* path, ReadMethod method) {
  // O_NONBLOCK: a named pipe is refused like other bad input, not waited for.
  Result<Fd> fd = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) {
    Error error = fd.error();
    if (error.errno_value() == ENOENT)
      error.hint("in a capture kernel this means that it was booted without elfcorehdr=");
    return error;
  }
  Result<Vmcore> vmcore = open(ReadableFile(std::move(*fd)), method);
  if (vmcore.ok()) return vmcore;
  Error error = vmcore.error();
  return error.on(path);
}

Result<Vmcore> Vmcore::open(ReadableFile file, ReadMethod method) {
  Vmcore vmcore;
  vmcore.file_ = std::move(file);
  DW_ASSIGN(vmcore.file_size_, dw::file_size(vmcore.file()));
  DW_ASSIGN(vmcore.headers_, read_elf_headers(vmcore.file(), vmcore.file_size_));
  vmcore.memory_ = PhysicalMap::from_segments(vmcore.headers_.segments, kPageSize);
  vmcore.mapped_ =
      method == ReadMethod::kMap || (method == ReadMethod::kAuto && on_proc(vmcore.file().fd()));
  if (vmcore.mapped_) DW_TRY(install_sigbus_guard());
  return vmcore;
}

VmcoreReader::VmcoreReader(VmcoreReader&& other) noexcept
    : vmcore_(other.vmcore_),
      window_(std::exchange(other.window_, nullptr)),
      window_begin_(other.window_begin_),
      window_size_(std::exchange(other.window_size_, 0)) {}

VmcoreReader::~VmcoreReader() { unmap(); }

void VmcoreReader::unmap() {
  if (window_ != nullptr) ::munmap(const_cast<std::byte*>(window_), window_size_);
  window_ = nullptr;
  window_size_ = 0;
}

bool VmcoreReader::map_window(uint64_t file_offset) {
  unmap();
  window_begin_ = align_down(file_offset, kWindowBytes);
  size_t size = std::min<uint64_t>(kWindowBytes, vmcore_->file_size() - window_begin_);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, vmcore_->file().fd(),
                        static_cast<off_t>(vmcore_->file().begin() + window_begin_));
  if (memory == MAP_FAILED) return false;
  window_ = static_cast<const std::byte*>(memory);
  window_size_ = size;
  return true;
}

bool VmcoreReader::copy_mapped(uint64_t file_offset, MutableBytes into) {
  while (!into.empty()) {
    bool inside = window_ != nullptr && file_offset >= window_begin_ &&
                  file_offset - window_begin_ < window_size_;
    if (!inside && !map_window(file_offset)) return false;
    size_t skip = file_offset - window_begin_;
    size_t n = std::min(into.size(), window_size_ - skip);
    if (!guarded_copy(into.first(n), {window_ + skip, n})) return false;
    file_offset += n;
    into = into.subspan(n);
  }
  return true;
}

Status VmcoreReader::copy(uint64_t file_offset, MutableBytes into) {
  if (vmcore_->mapped() && copy_mapped(file_offset, into)) return {};
  return read_exact_at(vmcore_->file(), into, file_offset);
}

Status VmcoreReader::read(uint64_t address, MutableBytes into) {
  while (!into.empty()) {
    auto range = vmcore_->memory().first_range_after(address);
    if (range == vmcore_->memory().ranges().end() || address < range->begin)
      return Error(ErrorKind::kBadInput, "no such physical memory in the vmcore")
          .at(Where::kAddress, address);
    size_t n = std::min<uint64_t>(into.size(), range->end - address);
    Status copied = copy(range->file_offset + (address - range->begin), into.first(n));
    if (!copied.ok()) {
      Error error = copied.error();
      return error.at(Where::kAddress, address);
    }
    address += n;
    into = into.subspan(n);
  }
  return {};
}

bool VmcoreReader::read_page_in_pieces(uint64_t pfn, MutableBytes page) {
  const PhysicalMap& memory = vmcore_->memory();
  uint64_t begin = pfn * page.size();
  uint64_t end = begin + page.size();
  bool any = false;
  std::ranges::fill(page, std::byte{0});
  for (auto range = memory.first_range_after(begin);
       range != memory.ranges().end() && range->begin < end; ++range) {
    uint64_t from = std::max(begin, range->begin);
    uint64_t to = std::min(end, range->end);
    MutableBytes piece = page.subspan(from - begin, to - from);
    if (!copy(range->file_offset + (from - range->begin), piece).ok()) return false;
    any = true;
  }
  return any;
}

uint64_t VmcoreReader::read_pages(uint64_t first_pfn, unsigned count, MutableBytes into) {
  uint64_t page_size = vmcore_->page_size();
  DW_CHECK(count >= 1 && count <= 64 && into.size() == count * page_size);
  uint64_t all = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  uint64_t address = first_pfn * page_size;
  auto range = vmcore_->memory().first_range_after(address);
  bool whole = range != vmcore_->memory().ranges().end() && range->begin <= address &&
               into.size() <= range->end - address;
  if (whole && copy(range->file_offset + (address - range->begin), into).ok()) return all;

  uint64_t readable = 0;
  for (unsigned i = 0; i < count; ++i)
    if (read_page_in_pieces(first_pfn + i, into.subspan(i * page_size, page_size)))
      readable |= uint64_t{1} << i;
  return readable;
}

}  // namespace dw
