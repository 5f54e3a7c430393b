#include "initrd-hooks/standalone/mounted_directory.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <optional>
#include <vector>

#include "capture/cli/config.h"
#include "initrd-hooks/standalone/device.h"

namespace dw {

namespace {

constexpr size_t kMaxMountsBytes = 4 << 20;
constexpr const char* kWriteHint = "use a directory on ext4 or xfs, raw:/dev/X, ssh:// or nfs://";

Error cannot_be_used(const std::string& directory, const char* what) {
  return Error(ErrorKind::kUsage, what).on(directory).hint(kWriteHint);
}

// A line of mountinfo, as far as it is needed.
struct Mount {
  std::string device;  // MAJOR:MINOR
  std::string root;    // the folder of the file system that is mounted
  std::string point;
  std::string type;
};

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kBlanks = " \t";
  std::vector<std::string_view> words;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (line.empty()) return words;
    words.push_back(line.substr(0, line.find_first_of(kBlanks)));
    line.remove_prefix(words.back().size());
  }
}

// Takes the first line off.
std::string_view next_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

// The kernel writes blanks and backslashes as three octal digits.
std::string unescaped(std::string_view word) {
  auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string text;
  for (size_t i = 0; i < word.size(); i++) {
    std::string_view digits = word.substr(i + 1).substr(0, 3);
    bool escape = word[i] == '\\' && digits.size() == 3 && std::ranges::all_of(digits, is_octal);
    if (!escape) {
      text += word[i];
      continue;
    }
    text += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
    i += 3;
  }
  return text;
}

std::optional<Mount> parse_mount(std::string_view line) {
  std::vector<std::string_view> words = words_of(line);
  auto dash = std::ranges::find(words, "-");
  if (dash - words.begin() < 6 || words.end() - dash < 2) return std::nullopt;
  return Mount{std::string(words[2]), unescaped(words[3]), unescaped(words[4]),
               std::string(dash[1])};
}

bool lies_below(std::string_view path, std::string_view folder) {
  if (folder == "/" || path == folder) return true;
  return path.starts_with(folder) && path[folder.size()] == '/';
}

// The one that is seen at `path`: the deepest, and of those the last.
std::optional<Mount> mount_of(const std::string& path, std::string_view mountinfo) {
  std::optional<Mount> found;
  while (!mountinfo.empty()) {
    auto mount = parse_mount(next_line(mountinfo));
    if (!mount || !lies_below(path, mount->point)) continue;
    if (!found || mount->point.size() >= found->point.size()) found = std::move(mount);
  }
  return found;
}

// Without links; what does not exist yet is taken as it is.
Result<std::string> real_path(const std::string& directory) {
  std::string present = directory;
  std::string missing;
  char real[PATH_MAX];
  while (::realpath(present.c_str(), real) == nullptr) {
    size_t slash = present.rfind('/');
    if (errno != ENOENT || slash == present.npos || present == "/")
      return Error::from_errno("cannot be followed").on(directory);
    std::string name = present.substr(slash);
    if (name != "/") missing.insert(0, name);
    present.resize(std::max<size_t>(slash, 1));
  }
  std::string path(real);
  return path == "/" && !missing.empty() ? missing : path + missing;
}

// A mount point of fstab(5) above the directory behind which another file system is seen now;
// nothing if there is none. `path` is the directory without links.
std::optional<std::string> unmounted_point(const std::string& directory, const std::string& path,
                                           const Mount& mount, std::string_view fstab) {
  while (!fstab.empty()) {
    std::vector<std::string_view> words = words_of(next_line(fstab));
    if (words.size() < 2 || words[0].starts_with('#')) continue;
    std::string point = unescaped(words[1]);
    if (!point.starts_with('/')) continue;
    while (point.size() > 1 && point.ends_with('/')) point.pop_back();
    // Others are not followed: they may lie on a server that does not answer.
    if (!lies_below(path, point) && !lies_below(directory, point)) continue;
    auto real = real_path(point);
    if (real.ok() && lies_below(path, *real) && !lies_below(mount.point, *real)) return point;
  }
  return std::nullopt;
}

Error is_not_mounted(const std::string& directory, const std::string& point) {
  return Error(ErrorKind::kUsage, "lies on a file system that is not mounted now")
      .on(directory + " (" + point + ")")
      .hint("mount it, or name its device, which need not be mounted: dev:UUID=U:/DIR");
}

Result<std::string> device_path(const Mount& mount, const MountPlaces& places) {
  std::string link = places.sys_dev_block + "/" + mount.device;
  char real[PATH_MAX];
  if (::realpath(link.c_str(), real) == nullptr)
    return Error::from_errno("cannot find the device").on(link);
  std::string name = std::string(real).substr(std::string(real).rfind('/') + 1);
  std::ranges::replace(name, '!', '/');
  return places.dev + "/" + name;
}

std::string inside(const Mount& mount, const std::string& path) {
  std::string below = mount.point == "/" ? path : path.substr(mount.point.size());
  std::string whole = (mount.root == "/" ? "" : mount.root) + (below == "/" ? "" : below);
  return whole.empty() ? "/" : whole;
}

}  // namespace

Result<std::string> device_target_of(const std::string& directory, const MountPlaces& places) {
  if (!directory.starts_with('/') || (directory + "/").find("/../") != directory.npos)
    return cannot_be_used(directory, "is no absolute path without '..'");
  DW_ASSIGN(std::string path, real_path(directory));
  DW_ASSIGN(std::string mountinfo, read_text_file(places.mountinfo.c_str(), kMaxMountsBytes));
  std::optional<Mount> mount = mount_of(path, mountinfo);
  if (!mount) return cannot_be_used(directory, "lies on nothing that is mounted");
  auto fstab = read_text_file(places.fstab.c_str(), kMaxMountsBytes);
  auto missing = mount->type == "autofs"
                     ? mount->point
                     : unmounted_point(directory, path, *mount, fstab.ok() ? *fstab : "");
  if (missing) return is_not_mounted(directory, *missing);
  if (!mount->type.starts_with("ext") && mount->type != "xfs")
    return cannot_be_used(directory + " (" + mount->type + ")",
                          "lies on a file system that the initrd does not mount");
  DW_ASSIGN(std::string device, device_path(*mount, places));
  DW_ASSIGN(std::optional<FileSystem> file_system, read_file_system(device));
  if (!file_system)
    return cannot_be_used(directory + " (" + device + ")", "lies on neither ext2/3/4 nor xfs");
  return "dev:UUID=" + file_system->uuid + ":" + inside(*mount, path);
}

}  // namespace dw
