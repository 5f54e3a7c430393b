#include "capture/base/fd.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using dw::test::contains;
using dw::test::memory_file;
using dw::test::TempDir;
using dw::test::text_of;

namespace {

std::array<std::byte, 10> ten_bytes() {
  std::array<std::byte, 10> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("fd: a read up to the end tells how much there was") {
  Fd fd = memory_file(ten_bytes());
  std::array<std::byte, 16> into{};
  CHECK(read_up_to_at(fd.get(), into, 4).value() == 6);
  CHECK(into[0] == std::byte{4});
  CHECK(read_up_to_at(fd.get(), into, 10).value() == 0);
  CHECK(read_up_to_at(fd.get(), into, 1000).value() == 0);
}

TEST_CASE("fd: a file that ends before an exact read is bad input, with the place of its end") {
  Fd fd = memory_file(ten_bytes());
  std::array<std::byte, 8> into{};
  CHECK(read_exact_at(fd.get(), into, 2).ok());
  Status cut = read_exact_at(fd.get(), into, 4);
  REQUIRE_FALSE(cut.ok());
  CHECK(cut.error().kind() == ErrorKind::kBadInput);
  CHECK(text_of(cut) == "the file ends too early at offset 0xa");
}

TEST_CASE("fd: of a part of a file nothing in front of it and behind it is read") {
  ReadableFile part(memory_file(ten_bytes()), 3, 4);
  CHECK(file_size(part.get()).value() == 4);
  std::array<std::byte, 8> into{};
  CHECK(read_up_to_at(part.get(), into, 1).value() == 3);
  CHECK(into[0] == std::byte{4});
  CHECK(into[2] == std::byte{6});
  CHECK(into[3] == std::byte{0});
  for (uint64_t behind : {uint64_t{4}, uint64_t{5}, UINT64_MAX - 2, UINT64_MAX})
    CHECK(read_up_to_at(part.get(), into, behind).value() == 0);
  CHECK(text_of(read_exact_at(part.get(), into, 1)) == "the file ends too early at offset 0x4");
  ReadableFile again = std::move(ReadableFile::duplicate(part.get()).value());
  part = ReadableFile();
  CHECK(read_up_to_at(again.get(), into, 0).value() == 4);
  CHECK(into[0] == std::byte{3});
  CHECK(file_size(again.get()).value() == 4);
}

TEST_CASE("fd: short reads are joined") {
  // /proc/self/maps gives at most a page for each read.
  Result<Fd> fd = open_file("/proc/self/maps", O_RDONLY);
  REQUIRE(fd.ok());
  std::vector<std::byte> into(1 << 16);
  size_t once = static_cast<size_t>(::pread(fd->get(), into.data(), into.size(), 0));
  size_t all = read_up_to_at(fd->get(), into, 0).value();
  CHECK(all >= once);
  CHECK(read_up_to_at(fd->get(), into, all).value() == 0);
}

TEST_CASE("fd: errors of the system carry errno and offset") {
  std::array<std::byte, 8> into{};
  Status failed = read_exact_at(-1, into, 32);
  CHECK(text_of(failed) == "cannot read at offset 0x20: Bad file descriptor");
  CHECK(text_of(write_all_at(-1, into, 1)) == "cannot write at offset 0x1: Bad file descriptor");
}

TEST_CASE("fd: a file that cannot be opened is named") {
  CHECK(text_of(open_file("/no/such/file", O_RDONLY)) ==
        "/no/such/file: cannot open: No such file or directory");
}

TEST_CASE("fd: a write is whole or an error, at a size limit too") {
  TempDir dir;
  Result<Fd> fd = open_file((dir / "file").c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(fd.ok());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small{.rlim_cur = 6, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  Status written = write_all_at(fd->get(), ten_bytes(), 0);  // the first write(2) is short
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().kind() == ErrorKind::kNoSpace);
  CHECK(written.error().position() == 6);
}

TEST_CASE("fd: sizes") {
  CHECK(file_size(memory_file(ten_bytes()).get()).value() == 10);
  Result<Fd> proc = open_file("/proc/self/status", O_RDONLY);
  CHECK(file_size(proc->get()).value() == 0);
  CHECK_FALSE(file_size(-1).ok());
}

TEST_CASE("fd: moving and closing leave no descriptor behind") {
  Fd first = memory_file(ten_bytes());
  Fd second = memory_file(ten_bytes());
  int raw_first = first.get();
  int raw_second = second.get();
  first = std::move(second);
  CHECK_FALSE(is_open(raw_first));
  CHECK(first.get() == raw_second);
  CHECK(first.close().ok());
  CHECK_FALSE(is_open(raw_second));
  CHECK_FALSE(first.valid());
  CHECK(first.close().ok());
}
