#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "initrd-hooks/standalone/mounted_target.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

ino_t inode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  return about.st_ino;
}

// root/a/b, a file, and links to a folder outside and to one inside.
class Tree {
 public:
  Tree() {
    for (const char* name : {"root", "root/a", "root/a/b", "outside", "outside/b"})
      REQUIRE(::mkdir((folder_ / name).c_str(), 0700) == 0);
    REQUIRE(::symlink("../outside", (folder_ / "root/out").c_str()) == 0);
    REQUIRE(::symlink("a", (folder_ / "root/in").c_str()) == 0);
    REQUIRE(::symlink("b", (folder_ / "root/a/last").c_str()) == 0);
    test::write_file(folder_ / "root/file", "x");
    auto opened = open_file((folder_ / "root").c_str(), O_RDONLY | O_DIRECTORY);
    REQUIRE(opened.ok());
    root_ = std::move(*opened);
  }
  [[nodiscard]] Result<Fd> open(std::string_view path) const {
    return open_folder_without_links(root_.get(), path);
  }
  [[nodiscard]] std::string path(std::string_view name) const { return folder_ / name; }

 private:
  test::TempDir folder_;
  Fd root_;
};

}  // namespace

TEST_CASE("folder without links: the folder itself") {
  Tree tree;
  struct {
    const char* path;
    const char* is;
  } cases[] = {{"/a/b", "root/a/b"},
               {"/a//b/", "root/a/b"},
               {"a/./b", "root/a/b"},
               {"/", "root"},
               {"", "root"}};
  for (const auto& [path, is] : cases) {
    CAPTURE(path);
    auto opened = tree.open(path);
    REQUIRE(opened.ok());
    struct stat about {};
    REQUIRE(::fstat(opened->get(), &about) == 0);
    CHECK(about.st_ino == inode_of(tree.path(is)));
  }
}

TEST_CASE("folder without links: a link in the middle or at the end is refused") {
  Tree tree;
  for (const char* path : {"/out/b", "/out", "/in/b", "/in", "/a/last", "/out/missing"}) {
    CAPTURE(path);
    auto opened = tree.open(path);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().kind() == ErrorKind::kUnsupported);
  }
  CHECK(tree.open("/out/b").error().subject() == "/out");
}

TEST_CASE("folder without links: the parent, a file and what is missing") {
  Tree tree;
  for (const char* path : {"..", "/..", "/a/../a"})
    CHECK(tree.open(path).error().kind() == ErrorKind::kUsage);
  CHECK(tree.open("/file").error().errno_value() == ENOTDIR);
  // What tells the caller to look at the parent.
  CHECK(tree.open("/a/missing").error().errno_value() == ENOENT);
}
