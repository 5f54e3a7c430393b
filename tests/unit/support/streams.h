// Streams and flattened files made by hand from a kdump file, so that the readers are tried against
// the specification and not against our own writers.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/codec/compression.h"
#include "capture/format/stream_format.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

using Content = std::vector<std::byte>;

// small_crash() as an uncompressed kdump file.
struct PlainDump {
  std::vector<KnownPage> pages;
  Content bytes;
  uint64_t data_offset = 0;  // of its first page
};
const PlainDump& plain_dump();

// Marks and numbers of a stream that is built.
struct StreamSpec {
  Compression compression = Compression::kZstd;
  size_t frame_bytes = 16 * 4096;   // of pages
  std::set<uint64_t> missing = {};  // offsets in the content of slots that are marked
  bool closing = true;
  bool seek_table = true;
  // Changes the closing frame before its check is computed.
  std::function<void(ClosingFrame&)> change_closing = {};
};

// Where a frame stands, in the order of the file.
struct BuiltFrame {
  size_t begin;
  size_t end;
  size_t content_bytes;
};

struct BuiltStream {
  Content bytes;
  std::vector<BuiltFrame> frames;  // all of them, the seek table too
};

// `kdump` is an uncompressed kdump file; its pages begin at `data_offset`.
BuiltStream build_stream(Bytes kdump, uint64_t data_offset, const StreamSpec& spec);

// A frame of `content`, compressed.
Content frame_of(Bytes content, Compression compression);

struct RecordSpec {
  size_t offset;
  size_t size;
};

// A flattened file with these records of `content`, in this order; with an end mark if `closed`.
Content build_flattened(Bytes content, const std::vector<RecordSpec>& records, bool closed = true);
// All of `content` in records of `size` bytes.
std::vector<RecordSpec> even_records(size_t content_size, size_t size);

}  // namespace dw::test
