// A memory cgroup (version 1 or 2) of a test's own, with a limit on everything that is charged to
// it: anonymous memory, page cache, the kernel's memory for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dw::test {

class MemoryCgroup {
 public:
  // Throws std::runtime_error where a cgroup with a memory controller cannot be made (needs root).
  explicit MemoryCgroup(uint64_t limit_bytes);
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;
  ~MemoryCgroup();

  // A command that runs `arguments` in the group.
  [[nodiscard]] std::vector<std::string> inside(const std::vector<std::string>& arguments) const;

  // The most that was ever charged, in bytes.
  [[nodiscard]] uint64_t peak() const;
  // Processes that were killed because of the limit.
  [[nodiscard]] uint64_t killed() const;

 private:
  bool version_2_;
  std::string folder_;
};

}  // namespace dw::test
