#include "capture/format/dump_source.h"

#include <doctest/doctest.h>

#include "capture/format/kdump_reader.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

const PlainDump& dump() { return plain_dump(); }

KdumpReader reader_of(const Content& file) {
  Result<OpenDump> opened = open_dump(memory_file(file));
  REQUIRE_MESSAGE(opened.ok(), text_of(opened));
  return std::move(KdumpReader::create(opened->file).value());
}

Content first(const Content& file, size_t size) {
  return {file.begin(), file.begin() + static_cast<ptrdiff_t>(size)};
}

BuiltStream stream_of(const StreamSpec& spec = {}) {
  return build_stream(dump().bytes, dump().data_offset, spec);
}

}  // namespace

TEST_CASE("dump_source: what a file is, its content tells") {
  auto kind = [](const Content& content) { return dump_kind(memory_file(content).get()).value(); };
  CHECK(kind(dump().bytes) == DumpKind::kKdump);
  CHECK(kind(stream_of().bytes) == DumpKind::kZstdStream);
  CHECK(kind(stream_of({.compression = Compression::kLz4}).bytes) == DumpKind::kLz4Stream);
  CHECK(kind(build_flattened(dump().bytes, even_records(dump().bytes.size(), 65536))) ==
        DumpKind::kFlattened);
  TemporaryVmcore vmcore(small_crash());
  CHECK(dump_kind(vmcore.fd()).value() == DumpKind::kElf);
  CHECK(kind({}) == DumpKind::kUnknown);
  CHECK(kind(Content(3)) == DumpKind::kUnknown);
  CHECK(kind(Content(100)) == DumpKind::kUnknown);
  CHECK(contains(text_of(open_dump(memory_file(Content(100)))), "not a dump; "));
}

TEST_CASE("dump_source: a flattened dump reads as it is; cut, it has what landed") {
  Content whole = build_flattened(dump().bytes, even_records(dump().bytes.size(), 3000));
  KdumpReader reader = reader_of(whole);
  CHECK_FALSE(reader.incomplete());
  CHECK(compare(dump().pages, reader).right == dump().pages.size());
  for (size_t size = whole.size() - 100; size > 40000; size -= 3511) {
    CAPTURE(size);
    Result<OpenDump> opened = open_dump(memory_file(first(whole, size)));
    REQUIRE_MESSAGE(opened.ok(), text_of(opened));
    KdumpReader cut = std::move(KdumpReader::create(opened->file).value());
    CHECK(cut.incomplete());
    Comparison result = compare(dump().pages, cut);
    CHECK(result.right + result.missing == dump().pages.size());
  }
}
