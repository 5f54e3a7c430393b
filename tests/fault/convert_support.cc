#include "tests/fault/convert_support.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/source/vmcore.h"
#include "tests/unit/support/text.h"

namespace dw::test {

namespace {

Comparison compare_core(const std::vector<KnownPage>& pages, const std::string& path) {
  Vmcore vmcore = std::move(Vmcore::open(path.c_str()).value());
  VmcoreReader reader(vmcore);
  std::vector<std::byte> page(kPageBytes);
  Comparison result;
  for (const KnownPage& known : pages) {
    if (reader.read_pages(known.pfn, 1, page) == 0)
      ++result.excluded;
    else
      ++(page == known.content ? result.right : result.wrong);
  }
  return result;
}

}  // namespace

const std::vector<ConvertKind> kConvertKinds = {
    {"kdump-zstd", {"--compress", "zstd:3"}},
    {"kdump-zlib", {"--compress", "zlib"}},
    {"kdump-none", {"--compress=none"}},
    {"stream-zstd", {"--format", "stream"}},
    {"stream-lz4", {"--format", "stream", "--compress", "lz4"}},
    {"stream-none", {"--format", "stream", "--compress", "none"}},
    {"elf", {"--format=elf"}},
    {"flattened", {"--format", "flattened"}},
};

Outcome convert(const std::string& in, const std::string& out, std::vector<std::string> options) {
  options.insert(options.begin(), "convert");
  options.insert(options.end(), {in, out});
  Outcome outcome = dumpwright(options);
  CHECK_FALSE(outcome.timed_out);
  CHECK(outcome.signal == 0);
  return outcome;
}

Comparison compare_file(const std::vector<KnownPage>& pages, const std::string& path) {
  Fd fd = std::move(open_file(path.c_str(), O_RDONLY).value());
  if (dump_kind(fd.get()).value() == DumpKind::kElf) return compare_core(pages, path);
  Result<OpenDump> dump = open_dump(std::move(fd));
  REQUIRE_MESSAGE(dump.ok(), text_of(dump));
  KdumpReader reader = std::move(KdumpReader::create(dump->file).value());
  return compare(pages, reader);
}

std::shared_ptr<const KdumpFile> open_dump_file(const std::string& path) {
  Fd fd = std::move(open_file(path.c_str(), O_RDONLY).value());
  Result<OpenDump> dump = open_dump(std::move(fd));
  REQUIRE_MESSAGE(dump.ok(), text_of(dump));
  return dump->file;
}

void write_content(const std::string& path, Bytes content) {
  write_file(path, {reinterpret_cast<const char*>(content.data()), content.size()});
}

void check_nothing_written(const TempDir& dir, const Outcome& outcome, const std::string& what) {
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.err, what));
  CHECK(contains(outcome.err, "; "));
  for (const std::string& name : dir.tree()) CHECK_FALSE(name.starts_with("out"));
}

}  // namespace dw::test
