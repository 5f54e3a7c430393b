// Pages that are few pointers away from the kernel image: the tasks, their stacks, the per-CPU
// areas, modules, the nodes of the table of process numbers. With the image and the page tables
// they are what a debugger reads before it shows anything, and few among all the kernel's pages.
//
// They are found without knowing a single structure, so on every kernel alike: each word of the
// image that is the address of mapped memory is taken for a pointer, and so is each word of what it
// points at. A doubly linked list with its head in the image (the list of tasks is one) is followed
// to its end, and so is an xarray (the one of process numbers); each counts as one step. They are
// known by pointers that lead back.
//
// All that is read here is untrusted: whatever the words say, the work has a limit. What is found
// depends on the vmcore alone.
// Thread safety: one thread; owns its scratch memory.
#pragma once

#include <cstdint>
#include <functional>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/kernel/layout.h"
#include "capture/source/vmcore.h"

namespace dw {

// Pointers followed from the image. Measured on Linux 6.1 and 6.12: all that crash reads for bt,
// log and ps is within three.
inline constexpr unsigned kMaxDistance = 3;

class NearPages {
 public:
  // `distance` from 1 to kMaxDistance. The page may not be in the vmcore.
  using Visit = std::function<void(uint64_t pfn, unsigned distance)>;

  // Error kNoMemory.
  static Result<NearPages> create();

  // Memory that create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes();

  // Calls `visit` with pages in order of distance, some of them more than once. Nothing is found
  // where virtual addresses cannot be translated. May be called again.
  void find(const Vmcore& vmcore, const VmcoreLayout& layout, const Visit& visit);

 private:
  explicit NearPages(Buffer scratch) : scratch_(std::move(scratch)) {}

  Buffer scratch_;
};

}  // namespace dw
