#include "tests/unit/support/memory_cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace dw::test {

namespace {

struct Hierarchy {
  std::string folder;
  bool version_2;
};

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_all(const std::string& path, const std::string& value) {
  std::ofstream file(path);
  file << value << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path);
}

// The mounted hierarchy with the memory controller.
Hierarchy find_hierarchy() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, folder, type, options;
    fields >> device >> folder >> type >> options;
    bool v1 = type == "cgroup" && ("," + options + ",").find(",memory,") != std::string::npos;
    bool v2 = type == "cgroup2" &&
              (" " + read_all(folder + "/cgroup.controllers")).find(" memory") != std::string::npos;
    if (v1 || v2) return {folder, v2};
  }
  throw std::runtime_error("no mounted cgroup hierarchy has the memory controller");
}

uint64_t number_behind(const std::string& text, const std::string& key) {
  std::istringstream words(text);
  for (std::string word; words >> word;)
    if (word == key && words >> word) return std::stoull(word);
  throw std::runtime_error("no " + key);
}

}  // namespace

MemoryCgroup::MemoryCgroup(uint64_t limit_bytes) {
  Hierarchy hierarchy = find_hierarchy();
  version_2_ = hierarchy.version_2;
  if (version_2_) write_all(hierarchy.folder + "/cgroup.subtree_control", "+memory");
  folder_ = hierarchy.folder + "/dumpwright-test-" + std::to_string(::getpid());
  if (::mkdir(folder_.c_str(), 0755) != 0) throw std::runtime_error("cannot make " + folder_);
  std::string limit = version_2_ ? "/memory.max" : "/memory.limit_in_bytes";
  write_all(folder_ + limit, std::to_string(limit_bytes));
}

MemoryCgroup::~MemoryCgroup() { (void)::rmdir(folder_.c_str()); }

std::vector<std::string> MemoryCgroup::inside(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {
      "/bin/bash", "-c", "echo $$ > " + folder_ + "/cgroup.procs && exec \"$@\"", "bash"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

uint64_t MemoryCgroup::peak() const {
  std::string name = version_2_ ? "/memory.peak" : "/memory.max_usage_in_bytes";
  return std::stoull(read_all(folder_ + name));
}

uint64_t MemoryCgroup::killed() const {
  std::string name = version_2_ ? "/memory.events" : "/memory.oom_control";
  return number_behind(read_all(folder_ + name), "oom_kill");
}

}  // namespace dw::test
