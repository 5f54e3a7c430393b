// A fuzzer's input as a file. Stops the program where the machine does not play along.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "capture/base/fd.h"

namespace dw::fuzz {

inline Fd memory_file(const uint8_t* data, size_t size) {
  Fd fd(::memfd_create("input", MFD_CLOEXEC));
  if (!fd.valid()) std::abort();
  if (!write_all_at(fd.get(), std::as_bytes(std::span(data, size)), 0).ok()) std::abort();
  return fd;
}

// For what must hold whatever the input is.
inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace dw::fuzz
