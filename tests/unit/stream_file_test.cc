#include "capture/format/stream_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

const PlainDump& dump() { return plain_dump(); }

BuiltStream stream_of(const StreamSpec& spec = {}) {
  return build_stream(dump().bytes, dump().data_offset, spec);
}

std::unique_ptr<StreamFile> open(const Content& file) {
  auto opened = StreamFile::open(memory_file(file));
  REQUIRE_MESSAGE(opened.ok(), text_of(opened));
  return std::move(*opened);
}

std::string open_error(const Content& file) { return text_of(StreamFile::open(memory_file(file))); }

KdumpReader reader_of(const Content& file) {
  Result<OpenDump> opened = open_dump(memory_file(file));
  REQUIRE_MESSAGE(opened.ok(), text_of(opened));
  return std::move(KdumpReader::create(opened->file).value());
}

Content read_all(const StreamFile& file, size_t piece) {
  std::unique_ptr<ByteReader> reader = std::move(file.open_reader().value());
  Content content(file.size());
  for (size_t at = 0; at < content.size(); at += piece) {
    MutableBytes into = MutableBytes(content).subspan(at, std::min(piece, content.size() - at));
    REQUIRE(reader->read_exact(into, at).ok());
  }
  return content;
}

Content first(const Content& file, size_t size) {
  return {file.begin(), file.begin() + static_cast<ptrdiff_t>(size)};
}

std::string hex(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof(text), "0x%lx", static_cast<unsigned long>(number));
  return text;
}

constexpr Compression kAll[] = {Compression::kZstd, Compression::kLz4, Compression::kNone};

}  // namespace

TEST_CASE("stream: the content comes back, whatever is read at once") {
  for (Compression compression : kAll) {
    for (size_t frame_bytes : {size_t{4096}, size_t{7 * 4096}, size_t{1} << 20}) {
      BuiltStream stream = stream_of({.compression = compression, .frame_bytes = frame_bytes});
      std::unique_ptr<StreamFile> file = open(stream.bytes);
      CHECK(file->ending() == Ending::kWhole);
      CHECK_FALSE(file->cut_at());
      CHECK(file->verify().ok());
      for (size_t piece : {333, 4096, 100000}) CHECK(read_all(*file, piece) == dump().bytes);
    }
  }
}

TEST_CASE("stream: a reader in it finds every page; the closing frame says that it is whole") {
  for (Compression compression : kAll) {
    Content bytes = stream_of({.compression = compression}).bytes;
    KdumpReader reader = reader_of(bytes);
    CHECK_FALSE(reader.incomplete());
    CHECK(compare(dump().pages, reader).right == dump().pages.size());
  }
}

TEST_CASE("stream: what the closing frame says wins over the header's status") {
  PlainDump unpatched = dump();
  store(unpatched.bytes, offsetof(KdumpHeader, status), kStatusIncomplete);
  CHECK_FALSE(
      reader_of(build_stream(unpatched.bytes, unpatched.data_offset, {}).bytes).incomplete());
  CHECK(reader_of(build_stream(unpatched.bytes, unpatched.data_offset, {.closing = false}).bytes)
            .incomplete());
  CHECK(reader_of(stream_of({.closing = false, .seek_table = false}).bytes).incomplete());
}

TEST_CASE("stream: a marked page is missing, the others read") {
  for (Compression compression : kAll) {
    uint64_t slot = dump().data_offset + 3 * kPageBytes;
    BuiltStream stream = stream_of({.compression = compression, .missing = {slot}});
    std::unique_ptr<StreamFile> file = open(stream.bytes);
    CHECK(file->ending() == Ending::kPartial);
    CHECK(file->verify().ok());
    CHECK_FALSE(file->covers(slot, kPageBytes));
    CHECK_FALSE(file->covers(slot - kPageBytes, 2 * kPageBytes));
    CHECK(file->covers(slot - kPageBytes, kPageBytes));
    CHECK(file->covers(slot + kPageBytes, kPageBytes));
    CHECK(file->covers(0, slot));
    KdumpReader reader = reader_of(stream.bytes);
    CHECK(reader.incomplete());
    Comparison result = compare(dump().pages, reader);
    CHECK(result.missing == 1);
    CHECK(result.right == dump().pages.size() - 1);
    CHECK(reader.summarize()->missing == 1);
  }
}

TEST_CASE("stream: marks in several frames, the last slot of one and the first of another") {
  uint64_t begin = dump().data_offset;
  std::set<uint64_t> missing = {begin + kPageBytes, begin + 3 * kPageBytes, begin + 4 * kPageBytes,
                                begin + 12 * kPageBytes};
  std::unique_ptr<StreamFile> file =
      open(stream_of({.frame_bytes = 4 * kPageBytes, .missing = missing}).bytes);
  for (uint64_t at = begin; at < dump().bytes.size(); at += kPageBytes)
    CHECK(file->covers(at, kPageBytes) != missing.contains(at));
}

// The pages that must read are those whose frame is there; none may read wrong.
TEST_CASE("stream: cut at any byte it reads as whole frames and missing pages") {
  for (Compression compression : kAll) {
    BuiltStream stream =
        stream_of({.compression = compression, .missing = {dump().data_offset + 2 * kPageBytes}});
    std::set<size_t> sizes;
    for (const BuiltFrame& frame : stream.frames)
      for (size_t near : {0, 1, 3, 4, 5, 7, 8, 15, 16, 47, 63})
        for (size_t size : {frame.begin + near, frame.end - std::min(frame.end, near)})
          if (size > 0 && size < stream.bytes.size()) sizes.insert(size);
    for (size_t size = 1; size < stream.bytes.size(); size += 977) sizes.insert(size);
    size_t closed = stream.frames.back().end;
    for (const BuiltFrame& frame : stream.frames)
      if (frame.end - frame.begin == sizeof(ClosingFrame) && frame.content_bytes == 0)
        closed = frame.end;
    for (size_t size : sizes) {
      CAPTURE(size);
      Content cut = first(stream.bytes, size);
      auto opened = StreamFile::open(memory_file(cut));
      REQUIRE_MESSAGE(opened.ok(), text_of(opened));
      StreamFile& file = **opened;
      size_t whole = 0;
      size_t content = 0;
      for (const BuiltFrame& frame : stream.frames) {
        if (frame.end > size) break;
        // A mark at the very end may be lost: it ends in zeros.
        bool mark = frame.content_bytes == 0 && frame.end == size;
        if (!mark) whole = frame.end;
        content += frame.content_bytes;
      }
      CHECK(file.size() == content);
      // Cut in the seek table, everything is there.
      if (size >= closed) {
        CHECK(file.ending() == Ending::kPartial);
        continue;
      }
      // Before the first frame is whole, nothing tells that it is a stream of ours.
      if (content > 0) {
        CHECK(file.ending() == Ending::kCut);
        CHECK(file.cut_at() == whole);
      }
      CHECK(file.verify().ok());
      Result<OpenDump> as_dump = open_dump(memory_file(cut));
      if (content < dump().data_offset) {
        CHECK_FALSE(as_dump.ok());
        continue;
      }
      REQUIRE(as_dump.ok());
      KdumpReader reader = std::move(KdumpReader::create(as_dump->file).value());
      CHECK(reader.incomplete());
      Comparison result = compare(dump().pages, reader);
      CHECK(result.right + result.missing == dump().pages.size());
      CHECK(reader.summarize()->damaged == 0);
    }
  }
}

TEST_CASE("stream: cut between a frame and its mark, the slots still count as missing") {
  uint64_t slot = dump().data_offset + 2 * kPageBytes;
  BuiltStream stream = stream_of({.frame_bytes = 4 * kPageBytes, .missing = {slot}});
  // Header, head, one frame of pages.
  KdumpReader reader = reader_of(first(stream.bytes, stream.frames[2].end));
  Comparison with_all = compare(dump().pages, reader);
  CHECK(with_all.wrong == 0);
  KdumpReader marked = reader_of(first(stream.bytes, stream.frames[3].end));
  CHECK(compare(dump().pages, marked).right == with_all.right);
}

TEST_CASE("stream: a file that goes on in zeros was cut") {
  for (Compression compression : kAll) {
    BuiltStream stream = stream_of({.compression = compression, .frame_bytes = 4 * kPageBytes});
    // One of random pages, so that it is long.
    auto frame = std::ranges::find_if(stream.frames, [](const BuiltFrame& built) {
      return built.end - built.begin > kPageBytes;
    });
    REQUIRE(frame != stream.frames.end());
    for (size_t keep : {frame->begin, frame->begin + 200, frame->end - 100}) {
      CAPTURE(keep);
      for (size_t zeros : {frame->end - keep, size_t{3} << 20}) {
        Content cut = first(stream.bytes, keep);
        cut.resize(keep + zeros);
        std::unique_ptr<StreamFile> file = open(cut);
        CHECK(file->ending() == Ending::kCut);
        CHECK(file->cut_at() == frame->begin);
      }
    }
  }
}

TEST_CASE(
    "stream: a flipped bit anywhere is an error with an offset, a cut, or found by verify()") {
  for (Compression compression : kAll) {
    BuiltStream stream =
        stream_of({.compression = compression, .missing = {dump().data_offset + 2 * kPageBytes}});
    for (size_t at = 0; at < stream.bytes.size(); at += at < 600 ? 1 : 131) {
      CAPTURE(at);
      Content changed = stream.bytes;
      changed[at] ^= static_cast<std::byte>(1U << (at % 8));
      auto opened = StreamFile::open(memory_file(changed));
      if (!opened.ok()) {
        CHECK(opened.error().where() == Where::kOffset);
        continue;
      }
      if ((*opened)->ending() == Ending::kCut) continue;
      Status verified = (*opened)->verify();
      // The first frame has a checksum, but no digest, since it is patched.
      if (at < stream.frames[0].end) {
        Content head(sizeof(KdumpHeader));
        verified = (*opened)->open_reader().value()->read_exact(head, 0);
        // One bit of it means nothing.
        if (verified.ok()) {
          CHECK(head == first(dump().bytes, head.size()));
          continue;
        }
      }
      REQUIRE_FALSE(verified.ok());
      CHECK(verified.error().where() == Where::kOffset);
    }
  }
}

TEST_CASE("stream: a damaged frame tells where it begins") {
  BuiltStream stream = stream_of({.frame_bytes = 4 * kPageBytes});
  Content changed = stream.bytes;
  const BuiltFrame& frame = stream.frames[3];
  changed[frame.end - 5] ^= std::byte{1};
  std::unique_ptr<StreamFile> file = open(changed);
  for (const std::string& text : {text_of(file->verify())}) {
    CHECK(contains(text, "a frame is damaged at offset " + hex(frame.begin)));
  }
  KdumpReader reader = reader_of(changed);
  Comparison result = compare(dump().pages, reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused > 0);
}

TEST_CASE("stream: a seek table that lies is an error with the entry's offset") {
  BuiltStream stream = stream_of();
  const BuiltFrame& table = stream.frames.back();
  for (size_t entry = 0; entry + 1 < stream.frames.size(); ++entry) {
    for (size_t field : {0, 4}) {
      Content changed = stream.bytes;
      size_t at = table.begin + 8 + entry * 8;
      changed[at + field] ^= std::byte{1};
      CHECK(contains(open_error(changed),
                     "the seek table does not match the frames at offset " + hex(at)));
    }
  }
  auto refused = [&](size_t from_end, uint8_t value) {
    Content changed = stream.bytes;
    changed[changed.size() - from_end] = std::byte{value};
    CHECK(contains(open_error(changed), "the seek table does not match the frames at offset 0x"));
  };
  refused(9, 0);     // entries
  refused(9, 0xff);  // more than there are
  refused(5, 0x80);  // entries with checksums
  refused(5, 0x04);  // reserved
  refused(1, 0);     // no footer
}

TEST_CASE("stream: a closing frame that lies is an error with its offset") {
  using Change = std::function<void(ClosingFrame&)>;
  const Change changes[] = {[](ClosingFrame& c) { ++c.frames; },
                            [](ClosingFrame& c) { c.content_bytes -= 4096; },
                            [](ClosingFrame& c) { c.missing_pages = 1; }};
  for (const Change& change : changes)
    CHECK(contains(open_error(stream_of({.change_closing = change}).bytes),
                   "the closing frame does not fit the frames before it at offset 0x"));
  CHECK(contains(open_error(stream_of({.change_closing = [](auto& c) { c.version = 1; }}).bytes),
                 "a stream of another version at offset 0x"));
  std::unique_ptr<StreamFile> file =
      open(stream_of({.change_closing = [](auto& c) { c.digest ^= 1; }}).bytes);
  CHECK(contains(text_of(file->verify()), "the digest in the closing frame is not that"));
  // Marked pages and a flag that says all are there.
  CHECK(contains(open_error(stream_of({.missing = {dump().data_offset},
                                       .change_closing = [](auto& c) { c.flags = kClosingWhole; }})
                                .bytes),
                 "does not fit"));
  CHECK(open(stream_of({.change_closing = [](auto& c) { c.flags = 0; }}).bytes)->ending() ==
        Ending::kPartial);
}

TEST_CASE("stream: nothing may stand behind the closing frame but the seek table") {
  BuiltStream stream = stream_of({.seek_table = false});
  Content more = stream.bytes;
  Content frame = frame_of(Content(4096), Compression::kZstd);
  more.insert(more.end(), frame.begin(), frame.end());
  CHECK(contains(open_error(more), "something stands behind the closing frame at offset " +
                                       hex(stream.bytes.size())));
}

TEST_CASE("stream: a mark that fits no frame is an error") {
  MissingMark mark;
  mark.slots[31] = 0x80;
  Content stream = stream_of({.closing = false, .seek_table = false}).bytes;
  Content marked = stream;
  Bytes bytes = bytes_of(mark);
  marked.insert(marked.end(), bytes.begin(), bytes.end());
  CHECK(contains(open_error(marked),
                 "a mark of missing pages is damaged at offset " + hex(stream.size())));
  marked.insert(marked.end(), bytes.begin(), bytes.end());
  CHECK(contains(open_error(marked), "a mark of missing pages without a frame"));
}

TEST_CASE("stream: skippable frames of others are passed over") {
  BuiltStream stream = stream_of({.closing = false, .seek_table = false});
  Content with;
  for (const BuiltFrame& frame : stream.frames) {
    Content other(8 + 100, std::byte{7});
    store(other, 0, kSkippableMagic + 12);
    store(other, 4, uint32_t{100});
    with.insert(with.end(), other.begin(), other.end());
    with.insert(with.end(), stream.bytes.begin() + static_cast<ptrdiff_t>(frame.begin),
                stream.bytes.begin() + static_cast<ptrdiff_t>(frame.end));
  }
  CHECK(read_all(*open(with), 5000) == dump().bytes);
}

TEST_CASE("stream: frames of somebody else work if they are small enough and say their size") {
  Content two;
  for (size_t half : {0, 1}) {
    size_t middle = dump().bytes.size() / 2;
    Bytes part =
        half == 0 ? Bytes(dump().bytes).first(middle) : Bytes(dump().bytes).subspan(middle);
    Content frame = frame_of(part, Compression::kZstd);
    two.insert(two.end(), frame.begin(), frame.end());
  }
  std::unique_ptr<StreamFile> file = open(two);
  CHECK(file->ending() == Ending::kUnsaid);
  CHECK(file->verify().ok());
  KdumpReader reader = reader_of(two);
  CHECK_FALSE(reader.incomplete());
  CHECK(compare(dump().pages, reader).right == dump().pages.size());

  Content large = frame_of(Content((16 << 20) + 1), Compression::kZstd);
  CHECK(contains(open_error(large), "more than 16 MiB of content at offset 0x0; decompress the"));
  // Descriptor 0: window byte, no content size.
  Content unsized = {std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f},
                     std::byte{0xfd}, std::byte{0x00}, std::byte{0x58},
                     std::byte{1},    std::byte{0},    std::byte{0}};
  CHECK(contains(open_error(unsized), "does not tell the size of its content"));
}

TEST_CASE("stream: frames of two compressions are no stream") {
  Content mixed = frame_of(Content(100), Compression::kZstd);
  Content other = frame_of(Content(100), Compression::kLz4);
  size_t at = mixed.size();
  mixed.insert(mixed.end(), other.begin(), other.end());
  CHECK(contains(open_error(mixed), "a frame of another compression at offset " + hex(at)));
}

TEST_CASE("stream: garbage behind a frame is no frame") {
  Content frame = frame_of(Content(100), Compression::kZstd);
  size_t at = frame.size();
  frame.resize(at + 100, std::byte{'x'});
  CHECK(contains(open_error(frame), "no frame begins here at offset " + hex(at)));
}
