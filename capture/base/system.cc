#include "capture/base/system.h"

#include <fcntl.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "capture/base/fd.h"

namespace dw {

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines with more than 1,024 CPUs: a capture kernel has a handful.
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

std::optional<uint64_t> available_memory_bytes() {
  Result<Fd> file = open_file("/proc/meminfo", O_RDONLY);
  if (!file.ok()) return std::nullopt;
  std::array<char, 4096> text;
  Result<size_t> size = read_up_to_at(file->get(), std::as_writable_bytes(std::span(text)), 0);
  if (!size.ok()) return std::nullopt;
  std::string_view rest(text.data(), *size);
  constexpr std::string_view kKey = "MemAvailable:";
  size_t at = rest.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(at + kKey.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  uint64_t kib = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), kib);
  if (error != std::errc() || kib > UINT64_MAX / 1024) return std::nullopt;
  return kib * 1024;
}

}  // namespace dw
