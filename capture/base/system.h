// What this machine has to give. Thread safety: pure reads.
#pragma once

#include <cstdint>
#include <optional>

namespace dw {

// CPUs this process may run on; at least 1.
[[nodiscard]] unsigned usable_cpus();

// MemAvailable of /proc/meminfo in bytes; nothing if it cannot be read.
[[nodiscard]] std::optional<uint64_t> available_memory_bytes();

}  // namespace dw
