#include "initrd-hooks/standalone/mounted_target.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace dw {

namespace {

struct Driver {
  const char* name;
  const char* options;
};

constexpr Driver kExtDrivers[] = {
    {"ext4", "errors=remount-ro"}, {"ext3", "errors=remount-ro"}, {"ext2", "errors=remount-ro"}};
constexpr Driver kXfsDrivers[] = {{"xfs", ""}};

std::span<const Driver> drivers_for(FileSystem::Kind kind) {
  if (kind == FileSystem::Kind::kXfs) return kXfsDrivers;
  return kExtDrivers;
}

Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Error::from_errno("cannot make the mount point").on(path);
}

// ext4's driver is tried first: it mounts ext2 and ext3 too.
Status mount_device(const FoundDevice& device, const std::string& mount_point) {
  constexpr unsigned long kFlags = MS_NOATIME | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  for (const Driver& driver : drivers_for(device.file_system.kind)) {
    if (::mount(device.path.c_str(), mount_point.c_str(), driver.name, kFlags, driver.options) == 0)
      return {};
    if (errno != ENODEV) return Error::from_errno("cannot mount").on(device.path);
  }
  return Error(ErrorKind::kUnsupported, "the kernel cannot mount its file system")
      .on(device.path)
      .hint("pack the file system's module into the initrd");
}

bool is_link(int folder, const std::string& name) {
  struct stat about {};
  return ::fstatat(folder, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(about.st_mode);
}

// Opens `path` below `root`, as if that were the root folder.
Result<Fd> open_below(const Fd& root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  long fd = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how));
  if (fd < 0 && errno == ENOSYS) return open_folder_without_links(root.get(), path);
  if (fd < 0) return Error::from_errno("cannot open the target's folder").on(path);
  return Fd(static_cast<int>(fd));
}

Result<std::string> path_of(const Fd& file) {
  char text[PATH_MAX];
  std::string link = "/proc/self/fd/" + std::to_string(file.get());
  ssize_t size = ::readlink(link.c_str(), text, sizeof(text));
  if (size < 0 || size == sizeof(text)) return Error::from_errno("cannot read the link").on(link);
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace

Result<Fd> open_folder_without_links(int root, std::string_view path) {
  DW_ASSIGN(Fd folder, open_file_at(root, ".", O_RDONLY | O_DIRECTORY));
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string name(path.substr(at, end - at));
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") return Error(ErrorKind::kUsage, "has '..' in it").on(path);
    auto next = open_file_at(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!next.ok() && is_link(folder.get(), name))
      return Error(ErrorKind::kUnsupported, "has a symbolic link in it, which is not followed")
          .on(path.substr(0, end))
          .hint("name the folder that the link leads to, or use a kernel of at least 5.6");
    if (!next.ok()) return next.error();
    folder = std::move(*next);
  }
  return folder;
}

Result<MountedTarget> MountedTarget::mount(const FoundDevice& device,
                                           const std::string& mount_point) {
  size_t slash = mount_point.rfind('/');
  if (slash != 0 && slash != mount_point.npos) DW_TRY(make_folder(mount_point.substr(0, slash)));
  DW_TRY(make_folder(mount_point));
  // Left over from a child that died; its file system stays in use by nobody.
  ::umount2(mount_point.c_str(), MNT_DETACH);
  DW_TRY(mount_device(device, mount_point));
  return at(mount_point);
}

Result<MountedTarget> MountedTarget::at(const std::string& mount_point) {
  DW_ASSIGN(Fd root, open_file(mount_point.c_str(), O_RDONLY | O_DIRECTORY));
  return MountedTarget(mount_point, std::move(root));
}

Result<std::string> MountedTarget::resolve(std::string_view directory) const {
  std::string present(directory);
  std::string missing;
  // One round per component: the longest part that exists, then what is left to be made.
  for (;;) {
    while (present.size() > 1 && present.back() == '/') present.pop_back();
    auto folder = open_below(root_, present.empty() ? "/" : present);
    if (folder.ok()) {
      DW_ASSIGN(std::string path, path_of(*folder));
      return path + missing;
    }
    if (folder.error().errno_value() != ENOENT || present.size() <= 1) return folder.error();
    size_t slash = present.rfind('/');
    missing.insert(0, present, slash, std::string::npos);
    present.resize(slash);
  }
}

Status MountedTarget::sync() const {
  if (::syncfs(root_.get()) != 0) return Error::from_errno("cannot sync").on(mount_point_);
  return {};
}

Status MountedTarget::unmount() {
  DW_TRY(root_.close());
  if (::umount2(mount_point_.c_str(), 0) != 0)
    return Error::from_errno("cannot unmount").on(mount_point_);
  return {};
}

}  // namespace dw
