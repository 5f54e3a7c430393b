#include "capture/target/output_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>

#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr std::array<std::byte, 3> kAbc = {std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

OutputFile create(const std::string& path, bool rewritable = true) {
  Result<OutputFile> file = OutputFile::create(path, rewritable);
  REQUIRE_MESSAGE(file.ok(), text_of(file));
  return std::move(*file);
}

}  // namespace

TEST_CASE("output_file: it has its name only after commit()") {
  TempDir dir;
  OutputFile file = create(dir / "out");
  REQUIRE(file.preallocate(0, 5).ok());
  REQUIRE(file.write_at(1, kAbc).ok());
  REQUIRE(file.sync().ok());
  REQUIRE(file.publish().ok());
  REQUIRE(file.seal().ok());
  CHECK(dir.tree() == std::vector<std::string>{"out.new"});
  REQUIRE(file.commit().ok());
  CHECK(dir.tree() == std::vector<std::string>{"out"});
  CHECK(read_file(dir / "out") == std::string("\0abc\0", 5));
  struct stat status {};
  REQUIRE(::stat((dir / "out").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("output_file: without commit() nothing stays, moved or not") {
  TempDir dir;
  {
    OutputFile file = create(dir / "out");
    OutputFile moved = std::move(file);
    REQUIRE(moved.write_at(0, kAbc).ok());
    REQUIRE(moved.append_sums(kAbc).ok());
  }
  CHECK(dir.tree().empty());
}

TEST_CASE("output_file: a name that was taken meanwhile is not replaced") {
  TempDir dir;
  {
    OutputFile file = create(dir / "out");
    write_file(dir / "out", "somebody else's");
    Status committed = file.commit();
    CHECK(contains(text_of(committed), "out: cannot rename: File exists"));
  }
  CHECK(dir.tree() == std::vector<std::string>{"out"});
  CHECK(read_file(dir / "out") == "somebody else's");
}

TEST_CASE("output_file: what exists is refused, and stays") {
  TempDir dir;
  write_file(dir / "out", "1");
  write_file(dir / "two.new", "2");
  CHECK(contains(text_of(OutputFile::create(dir / "out", true)), "out: the file exists"));
  CHECK(contains(text_of(OutputFile::create(dir / "two", true)), "two.new: the file exists"));
  CHECK(contains(text_of(OutputFile::create(dir / "no/out", true)), "name a file in a folder"));
  CHECK(dir.tree() == std::vector<std::string>{"out", "two.new"});
}

TEST_CASE("output_file: bytes and sums are read back, and what was not written is zero") {
  TempDir dir;
  OutputFile file = create(dir / "out");
  REQUIRE(file.write_at(0, kAbc).ok());
  std::array<std::byte, 5> bytes;
  bytes.fill(std::byte{9});
  REQUIRE(file.read_at(1, bytes).ok());
  CHECK(bytes == std::array<std::byte, 5>{std::byte{'b'}, std::byte{'c'}});
  REQUIRE(file.append_sums(kAbc).ok());
  REQUIRE(file.append_sums(kAbc).ok());
  std::array<std::byte, 3> sums{};
  REQUIRE(file.read_sums(3, sums).ok());
  CHECK(sums == kAbc);
  CHECK_FALSE(file.read_sums(4, sums).ok());
  CHECK(dir.tree() == std::vector<std::string>{"out.new"});
}

TEST_CASE("output_file: one that is written from front to back makes no room ahead") {
  TempDir dir;
  OutputFile file = create(dir / "out", false);
  CHECK_FALSE(file.rewritable());
  REQUIRE(file.preallocate(0, 1 << 20).ok());
  CHECK(read_file(dir / "out.new").empty());
}
