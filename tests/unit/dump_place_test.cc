#include "capture/cli/dump_place.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "capture/target/file_store.h"
#include "capture/target/file_target.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr const char* kName = "web-1-20231114T221320Z";

// Puts a dump of `builder` under `name`; without sealing if `complete` is false.
void put_dump(const TempDir& dir, const std::string& name, const VmcoreBuilder& builder,
              bool complete) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Fd root = std::move(FileTarget::open_root(dir.path()).value());
  FileTarget target = std::move(FileTarget::create(root.get(), name, dir / name).value());
  KdumpDescription description = describe(vmcore, Compression::kZstd);
  if (complete) {
    REQUIRE(capture_into(target, vmcore, {}).ok());
    return;
  }
  auto writer = std::move(KdumpWriter::create(target, description, {}, 4096).value());
  REQUIRE(writer->begin(whole_plan(vmcore).plan).ok());
  REQUIRE(writer->publish().ok());
}

DumpPlace find(const TempDir& dir, const VmcoreBuilder& builder) {
  auto store = std::move(FileStore::open(dir.path()).value());
  Result<DumpPlace> place = find_dump_place(*store, {.name = kName, .notes = builder.notes()},
                                            {.resume = Resume::kNever});
  REQUIRE_MESSAGE(place.ok(), text_of(place));
  return std::move(*place);
}

void check_place(const TempDir& dir, const VmcoreBuilder& builder, const std::string& name,
                 bool saved_already) {
  DumpPlace place = find(dir, builder);
  CHECK(place.name == name);
  CHECK(place.saved_already == saved_already);
}

std::string incomplete_stream_name(Compression compression) {
  const char* name = compression == Compression::kLz4 ? kLz4StreamName : kZstdStreamName;
  return std::string(name) + std::string(kIncompleteSuffix);
}

const std::string kSecond = std::string(kName) + "-2";

}  // namespace

TEST_CASE("dump_place: a whole dump that only lacks its name gets it") {
  TempDir dir;
  put_dump(dir, kName, small_crash(), true);
  std::string folder = dir / kName;
  REQUIRE(::rename((folder + "/vmcore").c_str(), (folder + "/vmcore.incomplete").c_str()) == 0);
  check_place(dir, small_crash(), kName, true);
  CHECK(::access((folder + "/vmcore").c_str(), F_OK) == 0);
  CHECK(::access((folder + "/vmcore.incomplete").c_str(), F_OK) != 0);
}

TEST_CASE("dump_place: without the time of the crash, equal notes are no proof of the same crash") {
  TempDir dir;
  VmcoreBuilder timeless;
  timeless.add_cpus(1).add_ram(0x100000, 16 * kPageBytes);
  put_dump(dir, kName, timeless, true);
  check_place(dir, timeless, kSecond, false);
}

TEST_CASE("dump_place: an empty target takes the name as it is") {
  TempDir dir;
  check_place(dir, small_crash(), kName, false);
  CHECK(dir.tree().empty());
}

TEST_CASE("dump_place: the same crash, sealed, is saved already") {
  TempDir dir;
  put_dump(dir, kName, small_crash(), true);
  check_place(dir, small_crash(), kName, true);
}

TEST_CASE("dump_place: the same crash, incomplete, stays and the next name is taken") {
  TempDir dir;
  put_dump(dir, kName, small_crash(), false);
  check_place(dir, small_crash(), kSecond, false);
  put_dump(dir, kSecond, small_crash(), true);
  check_place(dir, small_crash(), kSecond, true);
}

TEST_CASE("dump_place: another crash of the same host and second takes the next name") {
  TempDir dir;
  VmcoreBuilder other = small_crash();
  other.add_prstatus(4711);
  put_dump(dir, kName, small_crash(), true);
  check_place(dir, other, kSecond, false);
  put_dump(dir, kSecond, other, true);
  check_place(dir, other, kSecond, true);
  check_place(dir, small_crash(), kName, true);
}

TEST_CASE("dump_place: a file that cannot be read is left alone") {
  for (const char* name : {"vmcore", "vmcore.incomplete"}) {
    TempDir dir;
    REQUIRE(::mkdir((dir / kName).c_str(), 0700) == 0);
    write_file(dir / kName + "/" + name, "garbage");
    check_place(dir, small_crash(), kSecond, false);
    CHECK(read_file(dir / kName + "/" + name) == "garbage");
  }
}

TEST_CASE("dump_place: a dump cut short is not taken for the crash") {
  TempDir dir;
  put_dump(dir, kName, small_crash(), true);
  std::string path = dir / kName + "/vmcore";
  write_file(path, read_file(path).substr(0, 5000));
  check_place(dir, small_crash(), kSecond, false);
}

TEST_CASE("dump_place: without notes no crash is known again") {
  // Two vmcores without notes are not the same crash: nothing says so.
  TempDir dir;
  VmcoreBuilder nameless;
  nameless.add_ram(0x1000, 0x4000);
  put_dump(dir, kName, nameless, true);
  check_place(dir, nameless, kSecond, false);
}

TEST_CASE("dump_place: a stream is the same crash; only a closed one is whole") {
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    BuiltStream stream =
        build_stream(plain_dump().bytes, plain_dump().data_offset, {.compression = compression});
    std::string_view whole(reinterpret_cast<const char*>(stream.bytes.data()), stream.bytes.size());
    std::string file = compression == Compression::kZstd ? kZstdStreamName : kLz4StreamName;
    for (const std::string& name : {file, file + ".incomplete"}) {
      TempDir dir;
      REQUIRE(::mkdir((dir / kName).c_str(), 0700) == 0);
      std::string path = dir / kName + "/" + name;
      write_file(path, whole.substr(0, stream.frames[3].begin));
      check_place(dir, small_crash(), kSecond, false);
      write_file(path, whole);
      check_place(dir, small_crash("other-host"), kName, true);  // the notes are the same
      CHECK(::access((dir / kName + "/" + file).c_str(), F_OK) == 0);
    }
  }
}

TEST_CASE("dump_place: a closed stream whose header was not patched needs more than its name") {
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    std::vector<std::byte> plain = plain_dump().bytes;
    store(plain, offsetof(KdumpHeader, status), kStatusIncomplete);
    BuiltStream stream =
        build_stream(plain, plain_dump().data_offset, {.compression = compression});
    std::string_view whole(reinterpret_cast<const char*>(stream.bytes.data()), stream.bytes.size());
    // The power went behind the closing frame, or in the seek table.
    std::string_view cut = whole.substr(0, whole.size() - 5);
    if (compression == Compression::kLz4) cut = whole;
    TempDir dir;
    REQUIRE(::mkdir((dir / kName).c_str(), 0700) == 0);
    std::string file = dir / kName + "/" + incomplete_stream_name(compression);
    write_file(file, cut);
    check_place(dir, small_crash(), kSecond, false);
    CHECK(::access(file.c_str(), F_OK) == 0);
    // Through a pipe no header can be patched: what has its name is whole all the same.
    std::string sealed = file.substr(0, file.size() - kIncompleteSuffix.size());
    write_file(sealed, whole);
    check_place(dir, small_crash(), kName, true);
  }
}

TEST_CASE("dump_place: of a core, the name alone says that it is whole") {
  for (bool sealed : {false, true}) {
    TempDir dir;
    REQUIRE(::mkdir((dir / kName).c_str(), 0700) == 0);
    small_crash().write_to(dir / kName + "/" + kElfName + (sealed ? "" : ".incomplete"));
    check_place(dir, small_crash(), sealed ? kName : kSecond, sealed);
    VmcoreBuilder other = small_crash();
    other.add_prstatus(4711);
    check_place(dir, other, kSecond, false);
  }
}

TEST_CASE("dump_place: a hundred dumps of one name are too many") {
  TempDir dir;
  for (int i = 1; i <= 100; ++i) {
    std::string name = i == 1 ? kName : std::string(kName) + "-" + std::to_string(i);
    REQUIRE(::mkdir((dir / name).c_str(), 0700) == 0);
    write_file(dir / name + "/vmcore", "");
  }
  auto store = std::move(FileStore::open(dir.path()).value());
  Result<DumpPlace> place = find_dump_place(*store, {.name = kName, .notes = small_crash().notes()},
                                            {.resume = Resume::kNever});
  CHECK(contains(text_of(place), "too many dumps of this host and second; move some of them"));
}
