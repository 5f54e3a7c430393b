// Small vmcores captured by the executable: the bytes of the dump against committed files, and its
// pages against what the vmcore was built from.

#include <doctest/doctest.h>
#include <stdlib.h>
#include <zstd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/frames.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Case {
  const char* name;
  std::function<VmcoreBuilder()> build;
};

VmcoreBuilder above_4_gib() {
  VmcoreBuilder builder;
  uint64_t high = (uint64_t{4} << 30) + 0x100000;
  builder.add_cpus(1).add_vmcoreinfo(vmcoreinfo_text());
  builder.add_ram(0x1000, 0x4000).add_ram(high, 0x5000);
  builder.fill(0x2000, 300, 0x11).fill_random(high + 0x1000, 0x1000, 21);
  return builder.fill(high + 0x4ff0, 16, 0x22);
}

VmcoreBuilder many_segments() {
  VmcoreBuilder builder;
  builder.add_cpus(4).add_vmcoreinfo(vmcoreinfo_text());
  for (uint64_t i = 0; i < 120; ++i) {
    uint64_t at = 0x10000 + i * 0x6c00;  // starts and ends within pages
    builder.add_ram(at, 0x400);
    if (i % 3 == 0) builder.fill(at, 0x400, static_cast<uint8_t>(i + 1));
  }
  return builder;
}

VmcoreBuilder no_vmcoreinfo() {
  VmcoreBuilder builder;
  return builder.add_ram(0x3000, 0x6000).fill_random(0x4000, 0x1000, 31).fill(0x6000, 64, 0x33);
}

VmcoreBuilder mixed_pages() {
  VmcoreBuilder builder;
  builder.add_cpus(2).add_vmcoreinfo(vmcoreinfo_text()).add_ram(0x100000, 16 * kPageBytes);
  for (uint64_t i = 0; i < 16; ++i) {
    uint64_t at = 0x100000 + i * kPageBytes;
    if (i % 4 == 1) builder.fill_random(at, kPageBytes, i);
    if (i % 4 == 2) builder.fill(at + i * 100, 200 * i, static_cast<uint8_t>(i));
    if (i % 4 == 3) builder.fill_random(at, kPageBytes / 2, i);
  }
  return builder;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"overlap", [] { return small_crash(); }},
      {"above-4-gib", above_4_gib},
      {"many-segments", many_segments},
      {"no-vmcoreinfo", no_vmcoreinfo},
      {"mixed-pages", mixed_pages},
  };
  return all;
}

std::string packed(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  size_t n = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 19);
  REQUIRE(ZSTD_isError(n) == 0);
  out.resize(n);
  return out;
}

std::string unpacked(const std::string& bytes) {
  unsigned long long size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  REQUIRE(size < 64 << 20);
  std::string out(static_cast<size_t>(size), '\0');
  REQUIRE(ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size()) == size);
  return out;
}

// The one dump below `folder`.
std::string only_dump(const std::string& folder, const std::string& file = "vmcore") {
  std::string found;
  for (const std::string& name : tree_of(folder))
    if (name.ends_with("/" + file)) found = folder + "/" + name;
  REQUIRE_FALSE(found.empty());
  return found;
}

size_t first_difference(const std::string& a, const std::string& b) {
  size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  return at;
}

void check_bytes(const std::string& name, const std::string& dump) {
  std::string path = std::string(DUMPWRIGHT_TESTS) + "/golden/expected/" + name + ".zst";
  if (::getenv("DUMPWRIGHT_UPDATE_GOLDEN") != nullptr) {
    std::string bytes = packed(dump);
    REQUIRE_MESSAGE(bytes.size() < 64 << 10, "too large to be committed");
    write_file(path, bytes);
    MESSAGE("written anew, not compared: " << path);
    return;
  }
  std::string expected = unpacked(read_file(path));
  CHECK_MESSAGE((dump == expected), name << ": " << dump.size() << " bytes, expected "
                                         << expected.size() << ", first difference at "
                                         << first_difference(dump, expected));
}

}  // namespace

TEST_CASE("golden: the bytes of a dump, and every page of it") {
  for (const Case& golden : cases()) {
    VmcoreBuilder builder = golden.build();
    std::vector<KnownPage> pages = known_pages(builder);
    TempDir dir;
    builder.write_to(dir / "input");
    for (const char* compress : {"none", "zstd"}) {
      for (const char* level : {"0", "1"}) {
        std::string name = std::string(golden.name) + "-" + compress + "-d" + level;
        CAPTURE(name);
        Outcome outcome = dumpwright({"capture", "--source", dir / "input", "--compress", compress,
                                      "--dump-level", level, "--threads", "2", dir / name});
        REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
        std::string dump = only_dump(dir / name);
        CHECK(check_dump(dump, pages, true).right == pages.size());
        check_bytes(name, read_file(dump));
      }
    }
  }
}

TEST_CASE("golden: the bytes of a stream, of its sums, and every page of it") {
  for (const Case& golden : cases()) {
    VmcoreBuilder builder = golden.build();
    std::vector<KnownPage> pages = known_pages(builder);
    TempDir dir;
    builder.write_to(dir / "input");
    for (auto [compress, file] :
         {std::pair{"zstd", "vmcore.zst"}, std::pair{"lz4", "vmcore.lz4"}}) {
      std::string name = std::string(golden.name) + "-stream-" + compress;
      CAPTURE(name);
      Outcome outcome = dumpwright({"capture", "--source", dir / "input", "--format", "stream",
                                    "--compress", compress, "--threads", "2", dir / name});
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      std::string stream = read_file(only_dump(dir / name, file));
      std::vector<std::byte> content = content_of(whole_frames(std::as_bytes(std::span(stream))));
      write_file(dir / "plain", {reinterpret_cast<const char*>(content.data()), content.size()});
      CHECK(check_dump(dir / "plain", pages, true).right == pages.size());
      check_bytes(name, stream);
      check_bytes(name + "-sums", read_file(only_dump(dir / name, "vmcore.sums")));
    }
  }
}

TEST_CASE("golden: the bytes of an ELF core and of a flattened dump") {
  for (const Case& golden : cases()) {
    VmcoreBuilder builder = golden.build();
    TempDir dir;
    builder.write_to(dir / "input");
    std::string name = golden.name;
    CAPTURE(name);
    Outcome outcome =
        dumpwright({"capture", "--source", dir / "input", "--format", "elf", dir / "elf"});
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    check_bytes(name + "-elf", read_file(only_dump(dir / "elf", "vmcore.elf")));
    outcome = dumpwright({"capture", "--source", dir / "input", "--format", "flattened", "-"});
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    check_bytes(name + "-flattened", outcome.out);
  }
}
