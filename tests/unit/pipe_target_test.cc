#include "capture/target/pipe_target.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "capture/base/thread.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Pipe {
  explicit Pipe(int flags) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    reader = Fd(ends[0]);
    writer = Fd(ends[1]);
    if (flags != 0) REQUIRE(::fcntl(writer.get(), F_SETFL, flags) == 0);
  }
  Fd reader;
  Fd writer;
};

struct Drain {
  int fd;
  std::string content;
};

void drain(void* state) {
  auto* drain = static_cast<Drain*>(state);
  std::array<char, 1000> piece{};
  for (ssize_t n = 1; n > 0; drain->content.append(piece.data(), static_cast<size_t>(n)))
    n = std::max<ssize_t>(0, ::read(drain->fd, piece.data(), piece.size()));
}

}  // namespace

TEST_CASE("pipe_target: what is written comes out, through a descriptor that may block or not") {
  for (int flags : {0, O_NONBLOCK}) {
    Pipe pipe(flags);
    std::string text(300000, 'x');  // more than a pipe holds
    for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i % 251);
    Drain drained{.fd = pipe.reader.get(), .content = {}};
    Thread thread = std::move(Thread::start(drain, &drained).value());
    {
      PipeTarget target(std::move(pipe.writer));
      CHECK_FALSE(target.rewritable());
      CHECK(target.write_at(0, bytes(text).first(100)).ok());
      CHECK(target.sync().ok());
      CHECK(target.publish().ok());
      CHECK(target.write_at(100, bytes(text).subspan(100)).ok());
      CHECK(target.seal().ok());
    }
    thread.join();
    CHECK((drained.content == text));
  }
}

TEST_CASE("pipe_target: a reader that is gone is an error with the offset, not a death") {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe(0);
  PipeTarget target(std::move(pipe.writer));
  REQUIRE(target.write_at(0, bytes("abc")).ok());
  REQUIRE(pipe.reader.close().ok());
  Status written = target.write_at(3, bytes("d"));
  CHECK(written.error().errno_value() == EPIPE);
  CHECK(text_of(written) ==
        "standard output: cannot write at offset 0x3: Broken pipe; the program that read it has "
        "ended");
}

TEST_CASE("pipe_target: a file is appended to where it stands, and synced") {
  TempDir dir;
  write_file(dir / "out", "before ");
  Fd fd = std::move(open_file((dir / "out").c_str(), O_WRONLY).value());
  REQUIRE(::lseek(fd.get(), 0, SEEK_END) == 7);
  PipeTarget target(std::move(fd));
  CHECK(target.write_at(0, bytes("abc")).ok());
  CHECK(target.sync().ok());
  CHECK(read_file(dir / "out") == "before abc");
}

TEST_CASE("pipe_target: a failed sync is final") {
  TempDir dir;
  Fd fd = std::move(open_file((dir / "out").c_str(), O_WRONLY | O_CREAT, 0600).value());
  Fd file(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  int number = fd.get();
  PipeTarget target(std::move(fd));
  REQUIRE(target.write_at(0, bytes("abc")).ok());
  // Another thing in the file's place cannot be synced; then the file is there again.
  Pipe pipe(0);
  REQUIRE(::dup2(pipe.writer.get(), number) == number);
  CHECK(contains(text_of(target.sync()), "standard output: cannot sync"));
  REQUIRE(::dup2(file.get(), number) == number);
  CHECK(contains(text_of(target.sync()), "standard output: cannot sync"));
  CHECK(contains(text_of(target.write_at(3, bytes("d"))), "standard output: cannot sync"));
  CHECK(read_file(dir / "out") == "abc");
}

TEST_CASE("pipe_target: a full device") {
  PipeTarget target(std::move(open_file("/dev/full", O_WRONLY).value()));
  CHECK(text_of(target.write_at(0, bytes("abc"))) ==
        "standard output: cannot write at offset 0x0: No space left on device; free some space "
        "there");
}

TEST_CASE("pipe_target: nothing can be read back or put beside it") {
  Pipe pipe(0);
  PipeTarget target(std::move(pipe.writer));
  std::array<std::byte, 1> byte{};
  CHECK(target.read_at(0, byte).error().kind() == ErrorKind::kUnsupported);
  CHECK(target.append_sums(byte).error().kind() == ErrorKind::kUnsupported);
  CHECK(target.read_sums(0, byte).error().kind() == ErrorKind::kUnsupported);
  CHECK(target.put_file("vmcore.json", byte).ok());
}
