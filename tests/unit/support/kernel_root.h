// What the scripts that build initrds need: a folder that stands for a machine's file system, with
// a kernel's modules that hold no code, but say what they depend on. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/support/temp_dir.h"

namespace dw::test {

// 64 bits, little-endian.
inline constexpr std::string_view kElfStart(
    "\x7f"
    "ELF\2\1\1",
    7);

struct Entry {
  std::string name;
  uint64_t mode;
  uint64_t owner;
  uint64_t time;
  std::string content;
};

// Reads a "newc" archive up to its trailer.
[[nodiscard]] std::vector<Entry> read_archive(const std::string& archive);
[[nodiscard]] const Entry* find(const std::vector<Entry>& entries, const std::string& name);

class KernelRoot {
 public:
  // Has an executable, init, that is static and runs the one under test; dumpwright.conf; and the
  // modules disk, bus (compressed), first and extra, of which the first needs all.
  KernelRoot();

  void write(const std::string& name, const std::string& content) const;
  // A link `name` to `to`, both below the root. Of the latter only the folder is made.
  void link(const std::string& name, const std::string& to) const;
  // A script that stands before the system's programs.
  void add_program(const std::string& name, const std::string& script) const;
  // Of kernel 1.0; depmod() then has to be called.
  void add_module(const std::string& name, const std::vector<std::string>& modinfo) const;
  void depmod() const;

  // Both return the exit status; what was printed is in messages().
  int run(const std::string& command) const;
  // build-initrd, uncompressed, with the output `out`. `options` begin with the kernel's version.
  int build(const std::string& options) const;
  [[nodiscard]] std::string messages() const { return read_file(root + "/messages"); }
  [[nodiscard]] bool said(const char* text) const;
  // A file in the output, or "missing", or "wrong mode": others than root can read it.
  [[nodiscard]] std::string packed(const std::string& name) const;

  const TempDir folder;
  const std::string root = folder.path();
};

}  // namespace dw::test
