#include "tests/fault/disk_log.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <span>
#include <stdexcept>

#include "tests/unit/support/temp_dir.h"

namespace dw::test {

namespace {

constexpr size_t kSector = 512;

std::mutex log_mutex;
DiskLog* log_now = nullptr;

uint64_t mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
  value = (value ^ value >> 27) * 0x94D049BB133111EB;
  return value ^ value >> 31;
}

}  // namespace

DiskLog::DiskLog(const std::string& path) {
  std::string text = read_file(path);
  auto bytes = std::as_bytes(std::span(text));
  before_.assign(bytes.begin(), bytes.end());
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) throw std::runtime_error("cannot look at " + path);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  std::lock_guard lock(log_mutex);
  log_now = this;
}

DiskLog::~DiskLog() { stop(); }

void DiskLog::stop() {
  std::lock_guard lock(log_mutex);
  if (log_now == this) log_now = nullptr;
}

bool DiskLog::is_ours(int fd) const {
  struct stat status;
  return ::fstat(fd, &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void DiskLog::note_write(int fd, const std::byte* bytes, size_t size, uint64_t offset) {
  if (!is_ours(fd)) return;
  Event event{.offset = offset, .bytes = Image(size)};
  if (bytes != nullptr) std::memcpy(event.bytes.data(), bytes, size);
  events_.push_back(std::move(event));
}

void DiskLog::note_sync(int fd) {
  if (is_ours(fd)) events_.push_back({.sync = true, .bytes = {}});
}

DiskLog::Image DiskLog::left_at(size_t event, uint64_t seed) const {
  Image image = before_;
  size_t synced = event;
  while (synced > 0 && !events_[synced - 1].sync) --synced;
  for (size_t i = 0; i < event; ++i) {
    const Event& each = events_[i];
    size_t end = std::min<uint64_t>(image.size(), each.offset + each.bytes.size());
    for (size_t at = each.offset; at < end;) {
      size_t next = std::min(end, (at / kSector + 1) * kSector);
      bool there = i < synced || mixed(seed * 1000003 + i * 31 + at / kSector) % 2 == 0;
      if (there) std::memcpy(image.data() + at, each.bytes.data() + (at - each.offset), next - at);
      at = next;
    }
  }
  return image;
}

}  // namespace dw::test

// These stand in front of the C library's.

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  std::lock_guard lock(dw::test::log_mutex);
  ssize_t written = ::syscall(SYS_pwrite64, fd, bytes, size, offset);
  if (written > 0 && dw::test::log_now != nullptr)
    dw::test::log_now->note_write(fd, static_cast<const std::byte*>(bytes),
                                  static_cast<size_t>(written), static_cast<uint64_t>(offset));
  return written;
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  std::lock_guard lock(dw::test::log_mutex);
  int result = static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
  if (result == 0 && (mode & FALLOC_FL_ZERO_RANGE) != 0 && dw::test::log_now != nullptr)
    dw::test::log_now->note_write(fd, nullptr, static_cast<size_t>(length),
                                  static_cast<uint64_t>(offset));
  return result;
}

int fdatasync(int fd) {
  std::lock_guard lock(dw::test::log_mutex);
  int result = static_cast<int>(::syscall(SYS_fdatasync, fd));
  if (result == 0 && dw::test::log_now != nullptr) dw::test::log_now->note_sync(fd);
  return result;
}
