#include "tests/unit/support/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "tests/unit/support/process.h"

namespace dw::test {

bool enter_private_mounts() {
  static const bool entered = ::unshare(CLONE_NEWNS) == 0 &&
                              ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return entered;
}

SmallDisk::SmallDisk(std::string folder, const std::string& options) : folder_(std::move(folder)) {
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, options.c_str()) != 0)
    throw std::runtime_error("cannot mount a tmpfs on " + folder_);
}

SmallDisk::~SmallDisk() {
  if (::umount2(folder_.c_str(), MNT_DETACH) != 0) std::perror(folder_.c_str());
}

void SmallDisk::make_read_only() {
  if (::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
    throw std::runtime_error("cannot remount " + folder_);
}

namespace {

Outcome run_tool(const std::vector<std::string>& arguments) {
  std::vector<std::string> with_path = {"/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  with_path.insert(with_path.end(), arguments.begin(), arguments.end());
  Outcome outcome = run(with_path);
  if (outcome.status != 0) throw std::runtime_error(arguments[0] + ": " + outcome.err);
  return outcome;
}

// Space of the largest pieces that there are.
void reserve_all(int fd) {
  off_t end = 0;
  for (off_t piece = off_t{1} << 30; piece >= 4096; piece /= 2)
    while (::fallocate(fd, 0, end, piece) == 0) end += piece;
}

void write_all(int fd) {
  static const std::array<char, 1 << 16> kBlock{};
  ::lseek(fd, 0, SEEK_END);
  for (size_t piece = kBlock.size(); piece >= 512; piece /= 2)
    while (::write(fd, kBlock.data(), piece) > 0) {
    }
}

}  // namespace

void must_run(const std::vector<std::string>& arguments) { run_tool(arguments); }

LoopDevice::LoopDevice(unsigned size_kib) : bytes_(uint64_t{size_kib} << 10) {
  std::string image = image_folder_ / "image";
  must_run({"truncate", "-s", std::to_string(bytes_), image});
  path_ = run_tool({"losetup", "--find", "--show", image}).out;
  while (path_.ends_with('\n')) path_.pop_back();
}

LoopDevice::~LoopDevice() {
  if (run({"/usr/bin/env", "PATH=/usr/sbin:/sbin", "losetup", "--detach", path_}).status != 0)
    std::fprintf(stderr, "cannot detach %s\n", path_.c_str());
}

std::string LoopDevice::content() const { return read_file(path_); }

void LoopDevice::set_content(std::string_view content) const {
  int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot open " + path_);
  bool written = true;
  for (size_t done = 0; written && done < content.size();) {
    ssize_t n =
        ::pwrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    written = n > 0;
    if (written) done += static_cast<size_t>(n);
  }
  ::close(fd);
  if (!written) throw std::runtime_error("cannot write to " + path_);
}

LoopDisk::LoopDisk(const std::string& type, unsigned size_mib) {
  std::string image = image_folder_ / "image";
  must_run({"truncate", "-s", std::to_string(size_mib) + "M", image});
  if (type == "xfs" || type == "btrfs") {
    must_run({"mkfs." + type, "-q", image});
  } else {
    must_run({"mke2fs", "-q", "-F", "-m", "0", "-t", type, image});
  }
  must_run({"mount", "-o", "loop", image, path()});
}

LoopDisk::~LoopDisk() {
  // Not lazily: the image goes away too.
  if (::umount2(path().c_str(), 0) != 0) std::perror(path().c_str());
}

void fill_disk(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("cannot open " + path);
  reserve_all(fd);
  // Again after a sync, which settles what delayed writes really take.
  for (int round = 0; round < 2; ++round) {
    write_all(fd);
    ::fsync(fd);
  }
  ::close(fd);
}

}  // namespace dw::test
