#include "initrd-hooks/standalone/directory_target.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>

namespace dw {

namespace {

// The last component off; "/" and "." are their own parents.
std::string parent_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  path.resize(slash == 0 ? 1 : slash);
  return path;
}

}  // namespace

std::optional<std::string> directory_of_target(std::string_view target) {
  constexpr std::string_view kScheme = "file:";
  if (target.starts_with(kScheme)) return std::string(target.substr(kScheme.size()));
  // As the capture does: a path has no colon before its first slash.
  size_t colon = target.find(':');
  if (target == "-" || (colon != target.npos && colon < target.find('/'))) return std::nullopt;
  return std::string(target);
}

Status refuse_memory(const std::string& directory) {
  struct statfs about {};
  std::string present = directory;
  while (::statfs(present.c_str(), &about) != 0) {
    std::string parent = parent_of(present);
    // The capture will say what is wrong with it.
    if ((errno != ENOENT && errno != ENOTDIR) || parent == present) return {};
    present = std::move(parent);
  }
  // f_type is signed on some machines and unsigned on others.
  auto type = static_cast<uint32_t>(about.f_type);
  if (type != RAMFS_MAGIC && type != TMPFS_MAGIC) return {};
  return Error(ErrorKind::kUsage, "lies in the initrd's memory and would be lost by the reboot")
      .on(directory)
      .hint("use dev:UUID=...:/DIR, which names the file system that DIR is on");
}

}  // namespace dw
