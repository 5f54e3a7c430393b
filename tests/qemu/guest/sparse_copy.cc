// sparse-copy copies /proc/vmcore (or any file) to a file on a mounted disk, leaving holes for
// pages of zeros.
//
//   sparse-copy FROM TO
//
// Stands in for dumpwright in the raw-copy cells: it interprets nothing. One thread.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kBuffer = 1024 * 1024;
alignas(4096) char buffer[kBuffer];
alignas(4096) const char zeros[kBlock] = {};

int Fail(const char* what) {
  std::fprintf(stderr, "sparse-copy: %s: %s\n", what, std::strerror(errno));
  return 1;
}

bool WriteAll(int fd, const char* data, size_t bytes, off_t offset) {
  while (bytes > 0) {
    ssize_t done = pwrite(fd, data, bytes, offset);
    if (done <= 0) return false;
    data += done;
    bytes -= done;
    offset += done;
  }
  return true;
}

// Writes runs of blocks that are not all zeros.
bool WriteSparse(int fd, size_t bytes, off_t offset) {
  size_t start = 0;
  for (size_t at = 0; at <= bytes;) {
    size_t length = bytes - at < kBlock ? bytes - at : kBlock;
    bool hole = length == 0 || std::memcmp(buffer + at, zeros, length) == 0;
    if (hole) {
      if (at > start && !WriteAll(fd, buffer + start, at - start, offset + start)) return false;
      start = at + length;
    }
    if (length == 0) break;
    at += length;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: sparse-copy FROM TO\n");
    return 2;
  }
  int from = open(argv[1], O_RDONLY);
  if (from < 0) return Fail(argv[1]);
  int to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (to < 0) return Fail(argv[2]);
  off_t offset = 0;
  for (;;) {
    ssize_t got = read(from, buffer, kBuffer);
    if (got < 0) return Fail("read");
    if (got == 0) break;
    if (!WriteSparse(to, got, offset)) return Fail("write");
    offset += got;
  }
  if (ftruncate(to, offset) != 0) return Fail("ftruncate");
  if (fsync(to) != 0 || close(to) != 0) return Fail("sync");
  return 0;
}
