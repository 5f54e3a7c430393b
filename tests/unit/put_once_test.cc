// A small file that is put beside a dump which another part of the program is writing.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "capture/target/file_store.h"
#include "capture/target/server/server_store.h"
#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// `open` gives a store of `dir`, another each time.
template <typename OpenStore>
void check_beside_a_dump(const TempDir& dir, OpenStore open) {
  std::unique_ptr<DumpStore> store = open();
  auto target = std::move(store->create("host-1", "vmcore").value());
  REQUIRE(target->reserve_file("report", 1000).ok());
  std::vector<std::string> reserved = dir.tree();

  std::unique_ptr<DumpStore> other = open();
  std::string report = dir / "host-1/report";
  REQUIRE(other->put_file("host-1", "report", bytes("word")).ok());
  CHECK(read_file(report) == "word");
  // The room for the dump's report is as it was.
  reserved.push_back("host-1/report");
  std::ranges::sort(reserved);
  CHECK(dir.tree() == reserved);

  REQUIRE(target->put_file("report", bytes("saving")).ok());
  std::vector<std::string> put = dir.tree();
  Status late = other->put_file("host-1", "report", bytes("late"), [] { return false; });
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().kind() == ErrorKind::kTimeout);
  CHECK(read_file(report) == "saving");
  CHECK(dir.tree() == put);
  REQUIRE(target->put_file("report", bytes("complete")).ok());
  CHECK(read_file(report) == "complete");
}

}  // namespace

TEST_CASE("put_once: a word beside a dump in a directory leaves the dump's report alone") {
  TempDir dir;
  check_beside_a_dump(dir, [&]() -> std::unique_ptr<DumpStore> {
    return std::move(FileStore::open(dir.path()).value());
  });
}

TEST_CASE("put_once: a word beside a dump on a server leaves the dump's report alone") {
  TempDir dir;
  ServerDisk disk(dir.path());
  check_beside_a_dump(dir, [&]() -> std::unique_ptr<DumpStore> {
    return std::make_unique<ServerStore>(std::make_unique<DirectoryServer>(disk));
  });
}
