#include "capture/target/server/server_store.h"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Place {
  TempDir dir;
  ServerDisk disk{dir.path()};
  ServerStore store{std::make_unique<DirectoryServer>(disk)};

  void put(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(dir / name).parent_path());
    write_file(dir / name, content);
  }
};

}  // namespace

TEST_CASE("server store: what stands there") {
  Place place;
  CHECK(place.store.look("host-1")->standing == Standing::kNothing);
  place.put("host-1/vmcore.json", "report");
  CHECK(place.store.look("host-1")->standing == Standing::kNothing);
  place.put("host-1/vmcore.lz4.incomplete", "part");
  CHECK(place.store.look("host-1")->standing == Standing::kIncomplete);
  CHECK(place.store.look("host-1")->file == "vmcore.lz4.incomplete");
  place.put("host-1/vmcore.elf", "whole");
  CHECK(place.store.look("host-1")->standing == Standing::kSealed);
  CHECK(place.store.look("host-1")->file == "vmcore.elf");
  place.put("host-2", "no folder");
  CHECK(place.store.look("host-2")->standing == Standing::kOther);
}

TEST_CASE("server store: a dump is begun, gone on with, read and sealed") {
  Place place;
  {
    std::unique_ptr<Target> target = std::move(place.store.create("host-1", "vmcore.zst").value());
    CHECK(target->path() == place.store.display("host-1") + "/vmcore.new");
    REQUIRE(target->append(0, bytes("dump")).ok());
    REQUIRE(target->sync().ok());
    REQUIRE(target->publish().ok());
  }
  {
    std::unique_ptr<Target> target = std::move(place.store.reopen("host-1", "vmcore.zst").value());
    CHECK(target->size().value() == 4);
    REQUIRE(target->append(4, bytes(" whole")).ok());
    REQUIRE(target->sync().ok());
  }
  REQUIRE(place.store.seal_finished("host-1", "vmcore.zst.incomplete").ok());
  CHECK(read_file(place.dir / "host-1/vmcore.zst") == "dump whole");
  CHECK(place.store.reopen("host-1", "vmcore.zst").error().errno_value() == ENOENT);

  std::unique_ptr<ByteSource> source =
      std::move(place.store.open_file("host-1", "vmcore.zst").value());
  CHECK(source->size() == 10);
  std::unique_ptr<ByteReader> reader = std::move(source->open_reader().value());
  std::string text(20, '.');
  CHECK(reader->read_up_to(std::as_writable_bytes(std::span(text)), 5).value() == 5);
  CHECK(text == "whole...............");
  CHECK(reader->read_up_to(std::as_writable_bytes(std::span(text)), 10).value() == 0);
  CHECK(place.store.open_file("host-1", "vmcore").error().errno_value() == ENOENT);
}

TEST_CASE("server store: round trips that a capture waits for") {
  TempDir dir;
  ServerDisk disk(dir.path());
  auto served = std::make_unique<DirectoryServer>(disk);
  DirectoryServer& server = *served;
  ServerStore store(std::move(served));
  REQUIRE(store.look("host-1").value().standing == Standing::kNothing);
  CHECK(server.trips() == 1);
  REQUIRE(store.put_file("host-1", "report", bytes("starting")).ok());
  CHECK(server.trips() == 5);
  std::unique_ptr<Target> target = std::move(store.create("host-1", "vmcore").value());
  CHECK(server.trips() == 7);
  REQUIRE(target->reserve_file("report", 8000).ok());
  CHECK(server.trips() <= 10);
  REQUIRE(target->preallocate_sums(1 << 20).ok());
  REQUIRE(target->preallocate(0, 1 << 20).ok());
  CHECK(target->free_bytes().has_value());
  CHECK(server.trips() <= 14);
  REQUIRE(target->append_sums(bytes("head")).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->publish().ok());
  CHECK(server.trips() <= 18);
  REQUIRE(target->put_file("report", bytes("saving")).ok());
  CHECK(server.trips() <= 21);
  REQUIRE(target->append(1 << 20, bytes("pages")).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->seal().ok());
  REQUIRE(target->put_file("report", bytes("complete")).ok());
  CHECK(server.trips() <= 28);
  target.reset();
  CHECK(server.trips() <= 28);
  CHECK(server.misuses() == 0);
}

TEST_CASE("server store: sealing replaces nothing") {
  Place place;
  place.put("host-1/vmcore.incomplete", "one");
  place.put("host-1/vmcore", "other");
  Status sealed = place.store.seal_finished("host-1", "vmcore.incomplete");
  REQUIRE_FALSE(sealed.ok());
  CHECK(sealed.error().errno_value() == EEXIST);
  CHECK(contains(text_of(sealed), "host-1/vmcore.incomplete"));
  CHECK(read_file(place.dir / "host-1/vmcore") == "other");
}

TEST_CASE("server store: a small file is written, and replaced, and whole whenever it is cut off") {
  Place place;
  REQUIRE(place.store.put_file("host-1", "report", bytes("first")).ok());
  CHECK(read_file(place.dir / "host-1/report") == "first");
  for (uint64_t k = 0; k < 20; ++k) {
    ServerStore cut(
        std::make_unique<DirectoryServer>(place.disk, ServerFaults{.lose_at = k, .seed = k + 1}));
    bool put = cut.put_file("host-1", "report", bytes("second one")).ok();
    place.disk.cut_power(k + 1);
    std::string now = read_file(place.dir / "host-1/report");
    CHECK((now == "second one" || (!put && now == "first")));
    REQUIRE(place.store.put_file("host-1", "report", bytes("first")).ok());
    CHECK(place.dir.tree() == std::vector<std::string>{"host-1", "host-1/report"});
  }
}

TEST_CASE("server store: what a run that was cut off left beside a small file is removed") {
  Place place;
  for (const char* file :
       {"report", "report.new", "report.spare", "report.once", "other.new", "log.new"})
    place.put(std::string("host-1/") + file, "text");
  place.store.remove_leftovers("host-1", "vmcore", std::array{"report", "log"});
  CHECK(place.dir.tree() ==
        std::vector<std::string>{"host-1", "host-1/other.new", "host-1/report"});
}
