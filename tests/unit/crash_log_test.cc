// The kernel's log as a file beside a dump, in every place that takes dumps.
#include "capture/cli/crash_log.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "capture/target/file_store.h"
#include "capture/target/raw/raw_store.h"
#include "capture/target/server/server_store.h"
#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/log_model.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr const char* kName = "host-1";
constexpr const char* kFile = "host-1/vmcore-dmesg.txt";

struct Crash {
  TempDir dir;
  std::string text;
  std::shared_ptr<const CrashLog> log;

  // Of about `lines` times 100 bytes.
  explicit Crash(unsigned lines = 400) {
    RingModel ring(12, 20);
    for (unsigned i = 0; i < lines; ++i)
      ring.add({i * 1000ull, i, "line " + std::to_string(i) + std::string(70, '.')});
    golden::KernelBuilder builder({});
    ring.store(builder);
    builder.build().write_to(dir / "vmcore");
    text = ring.text();
    Result<Vmcore> vmcore = Vmcore::open((dir / "vmcore").c_str());
    REQUIRE(vmcore.ok());
    Result<std::shared_ptr<const CrashLog>> opened =
        CrashLog::open(std::make_shared<const Vmcore>(std::move(*vmcore)));
    REQUIRE(opened.ok());
    log = *opened;
  }
};

bool wanted() { return true; }

std::string text_in(DumpStore& store) {
  Result<std::unique_ptr<ByteSource>> file = store.open_file(kName, kLogName);
  if (!file.ok()) return "none";
  std::string text((*file)->size(), '\0');
  std::unique_ptr<ByteReader> reader = std::move((*file)->open_reader().value());
  REQUIRE(reader->read_exact(std::as_writable_bytes(std::span(text)), 0).ok());
  return text;
}

// Stops after the second piece.
Status put_and_stop(DumpStore& store, const CrashLog& log) {
  unsigned pieces = 0;
  return put_log(store, kName, log, [&] { return ++pieces < 3; });
}

void check_store(DumpStore& store, const Crash& crash) {
  CHECK(text_of(put_and_stop(store, *crash.log)).find("nobody waits for it any more") !=
        std::string::npos);
  CHECK(text_in(store) == "none");
  REQUIRE(put_log(store, kName, *crash.log, wanted).ok());
  CHECK(text_in(store) == crash.text);
  // It is there: not a piece of it is asked for.
  CHECK(put_log(store, kName, *crash.log, [] { return false; }).ok());
  // Another's is replaced, and stays where the new one does not become whole.
  REQUIRE(store.put_file(kName, kLogName, std::as_bytes(std::span("other"))).ok());
  CHECK_FALSE(put_and_stop(store, *crash.log).ok());
  CHECK(text_in(store).substr(0, 5) == "other");
  REQUIRE(put_log(store, kName, *crash.log, wanted).ok());
  CHECK(text_in(store) == crash.text);
}

}  // namespace

TEST_CASE("crash log: its size is known, and it is the same each time") {
  Crash crash;
  CHECK(crash.log->size() == crash.text.size());
  CHECK(crash.log->damaged() == 0);
  for (int times = 0; times < 2; ++times) {
    std::string text;
    REQUIRE(crash.log
                ->copy_to([&](Bytes bytes) -> Status {
                  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                  return {};
                })
                .ok());
    CHECK(text == crash.text);
  }
}

TEST_CASE("crash log: one with more than 64 MiB of text is refused") {
  RingModel ring(13, 23);
  // Each line gets a time stamp in front, so a log of 5 MB has 80 MB of text.
  for (unsigned i = 0; i < 5000; ++i) ring.add({i, i, std::string(1000, '\n')});
  TempDir dir;
  golden::KernelBuilder builder({});
  ring.store(builder);
  builder.build().write_to(dir / "vmcore");
  Result<Vmcore> vmcore = Vmcore::open((dir / "vmcore").c_str());
  REQUIRE(vmcore.ok());
  Result<std::shared_ptr<const CrashLog>> log =
      CrashLog::open(std::make_shared<const Vmcore>(std::move(*vmcore)));
  REQUIRE_FALSE(log.ok());
  CHECK(log.error().kind() == ErrorKind::kUnsupported);
  CHECK(text_of(log).find("more than 64 MiB") != std::string::npos);
}

TEST_CASE("crash log: in a directory") {
  Crash crash;
  std::unique_ptr<FileStore> store = std::move(FileStore::open(crash.dir / "dumps").value());
  check_store(*store, crash);
  CHECK(tree_of(crash.dir / "dumps") == std::vector<std::string>{kName, kFile});
}

TEST_CASE("crash log: on a server") {
  Crash crash;
  TempDir dir;
  ServerDisk disk(dir.path());
  ServerStore store(std::make_unique<DirectoryServer>(disk));
  check_store(store, crash);
  CHECK(dir.tree() == std::vector<std::string>{kName, kFile});
}

TEST_CASE("crash log: on a server that is lost at any call it is absent or whole") {
  Crash crash(40);
  TempDir dir;
  ServerDisk disk(dir.path());
  for (uint64_t k = 0; k < 20; ++k) {
    ServerStore cut(std::make_unique<DirectoryServer>(disk, ServerFaults{.lose_at = k}));
    bool put = put_log(cut, kName, *crash.log, wanted).ok();
    disk.cut_power(k);
    ServerStore store(std::make_unique<DirectoryServer>(disk));
    std::string text = text_in(store);
    CHECK((text == crash.text || (!put && text == "none")));
    if (text != "none") {
      DirectoryServer server(disk);
      REQUIRE(server.remove(kFile).ok());
    }
  }
}

TEST_CASE("crash log: on a partition, which keeps room for the report") {
  Crash crash(1500);
  REQUIRE(crash.text.size() > 100'000);
  TempDir dir;
  write_file(dir / "disk", std::string(8 << 20, '\xA5'));
  std::unique_ptr<RawStore> store =
      std::move(RawStore::open(dir / "disk", {.force = true}).value());
  REQUIRE(put_log(*store, kName, *crash.log, wanted).ok());
  CHECK(text_in(*store) == crash.text);
  std::unique_ptr<Target> target = std::move(store->create(kName, "vmcore").value());
  CHECK(text_in(*store) == crash.text);
  REQUIRE(target->reserve_file("vmcore.json", 8192).ok());
  REQUIRE(target->put_file("vmcore.json", std::as_bytes(std::span("report"))).ok());
  CHECK(text_in(*store) == crash.text);
}

TEST_CASE("crash log: one that is too large for a partition is refused, and nothing else is") {
  Crash crash(3000);
  REQUIRE(crash.text.size() > 256 << 10);
  TempDir dir;
  write_file(dir / "disk", std::string(8 << 20, '\xA5'));
  std::unique_ptr<RawStore> store =
      std::move(RawStore::open(dir / "disk", {.force = true}).value());
  CHECK(put_log(*store, kName, *crash.log, wanted).error().kind() == ErrorKind::kNoSpace);
  std::unique_ptr<Target> target = std::move(store->create(kName, "vmcore").value());
  REQUIRE(target->reserve_file("vmcore.json", 8192).ok());
}

TEST_CASE("crash log: small logs on a partition") {
  Crash crash;
  TempDir dir;
  write_file(dir / "disk", std::string(8 << 20, '\xA5'));
  std::unique_ptr<RawStore> store =
      std::move(RawStore::open(dir / "disk", {.force = true}).value());
  check_store(*store, crash);
}
