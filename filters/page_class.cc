#include "filters/page_class.h"

namespace dw {

const char* name_of(PageClass page_class) {
  constexpr const char* kNames[kPageClassCount] = {
      "kernel",     "slab",    "free", "cache",    "cache with private data",
      "user",       "hugetlb", "zero", "hwpoison", "offline",
      "unaccepted", "unknown"};
  return kNames[static_cast<size_t>(page_class)];
}

const char* name_of(UnknownReason reason) {
  constexpr const char* kNames[kUnknownReasonCount] = {
      "no description of struct page", "a key is missing in VMCOREINFO",
      "the section has no memmap",     "the section is not online",
      "the memmap cannot be read",     "the order of a block makes no sense",
      "a tail page without its head",
  };
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace dw
