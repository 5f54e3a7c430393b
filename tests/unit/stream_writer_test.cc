#include "capture/format/stream_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"
#include "capture/format/stream_format.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/frames.h"
#include "tests/unit/support/journals.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

constexpr Compression kCodecs[] = {Compression::kZstd, Compression::kLz4, Compression::kNone};

CaptureSettings stream_of(Compression compression, unsigned threads = 1) {
  return {.format = DumpFormat::kStream,
          .compression = {.compression = compression},
          .threads = threads};
}

void capture_ok(Target& target, const VmcoreBuilder& builder, const CaptureSettings& settings) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Status captured = capture_into(target, vmcore, settings);
  REQUIRE_MESSAGE(captured.ok(), text_of(captured));
}

// Two ranges far apart, so that there are windows without memory, in three priorities' order.
VmcoreBuilder far_apart() {
  VmcoreBuilder builder = small_crash();
  uint64_t high = uint64_t{5} << 30;
  builder.add_ram(high + 0x3000, 600 * kPageBytes);
  return builder.fill_random(high + 0x3000, 300 * kPageBytes, 5);
}

KdumpReader open(const Image& dump) {
  Result<KdumpReader> reader = KdumpReader::open(memory_file(dump));
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  return std::move(*reader);
}

ClosingFrame closing_of(const Image& file, const std::vector<Frame>& frames) {
  for (const Frame& frame : frames)
    if (frame.magic == kClosingMagic) return load<ClosingFrame>(file, frame.offset);
  FAIL("no closing frame");
  return {};
}

// What a reader checks before it calls a stream whole. Returns how many frames stand before.
size_t check_closing(const Image& file, const std::vector<Frame>& frames, uint32_t flags,
                     uint64_t missing) {
  size_t before = 0;
  uint64_t content = 0;
  for (; frames[before].magic != kClosingMagic; ++before) content += frames[before].content.size();
  ClosingFrame closing = closing_of(file, frames);
  CHECK(closing.flags == flags);
  CHECK(closing.version == kClosingVersion);
  CHECK(closing.check == closing_check(closing));
  CHECK(closing.frames == before);
  CHECK(closing.content_bytes == content);
  CHECK(closing.missing_pages == missing);
  std::vector<uint64_t> digests;
  for (size_t i = 1; i < before; ++i)
    digests.push_back(digest64(Bytes(file).subspan(frames[i].offset, frames[i].length)));
  CHECK(closing.digest == digest64(std::as_bytes(std::span(digests))));
  return before;
}

void check_seek_table(const Image& file, const std::vector<Frame>& frames) {
  const Frame& table = frames.back();
  REQUIRE(table.magic == kSeekTableMagic);
  uint64_t entries = frames.size() - 1;
  REQUIRE(table.length == 8 + entries * 8 + 9);
  Bytes bytes = Bytes(file).subspan(table.offset);
  for (size_t i = 0; i < entries; ++i) {
    CHECK(load<uint32_t>(bytes, 8 + i * 8) == frames[i].length);
    CHECK(load<uint32_t>(bytes, 12 + i * 8) == frames[i].content.size());
  }
  CHECK(load<uint32_t>(bytes, 8 + entries * 8) == entries);
  CHECK(load<uint8_t>(bytes, 12 + entries * 8) == 0);
  CHECK(load<uint32_t>(bytes, 13 + entries * 8) == kSeekTableFooterMagic);
}

}  // namespace

TEST_CASE("stream_writer: decompressed, it is a whole kdump file with every page") {
  for (const VmcoreBuilder& builder : {small_crash(), far_apart()}) {
    std::vector<KnownPage> pages = known_pages(builder);
    for (Compression codec : kCodecs) {
      CAPTURE(name_of(codec));
      MemoryTarget target;
      capture_ok(target, builder, stream_of(codec));
      CHECK(target.synced_state() == MemoryTarget::State::kSealed);
      CHECK((target.synced() == target.content()));
      std::vector<Frame> frames = whole_frames(target.content());
      CHECK(frames.back().offset + frames.back().length == target.content().size());

      KdumpReader reader = open(content_of(frames));
      CHECK_FALSE(reader.incomplete());
      CHECK(reader.header().written_blocks == pages.size());
      CHECK(compare(pages, reader).right == pages.size());
      KdumpSummary summary = reader.summarize().value();
      CHECK(summary.ram == pages.size());
      CHECK(summary.kept == pages.size());
      CHECK(summary.missing + summary.damaged == 0);
      uint64_t slots = align_up(reader.layout().data_offset, kPageBytes);
      CHECK(content_of(frames).size() == slots + pages.size() * kPageBytes);
    }
  }
}

TEST_CASE("stream_writer: the frames are those of the specification") {
  for (Compression codec : kCodecs) {
    CAPTURE(name_of(codec));
    MemoryTarget target;
    capture_ok(target, large_crash(3), stream_of(codec));
    const Image& file = target.content();
    std::vector<Frame> frames = whole_frames(file);
    REQUIRE(frames.size() > 5);
    CHECK(frames[0].length < 512);
    CHECK(frames[0].content.size() == sizeof(KdumpHeader));
    for (const Frame& frame : frames) CHECK(frame.content.size() <= kMaxFrameBytes);
    size_t before = check_closing(file, frames, kClosingWhole, 0);
    bool has_table = codec != Compression::kLz4;
    CHECK(frames.size() == before + (has_table ? 2 : 1));
    if (has_table) check_seek_table(file, frames);
  }
}

TEST_CASE("stream_writer: the same bytes for any number of threads") {
  VmcoreBuilder builder = large_crash(5);
  for (Compression codec : kCodecs) {
    MemoryTarget one;
    capture_ok(one, builder, stream_of(codec, 1));
    for (unsigned threads : {2U, 8U}) {
      MemoryTarget several;
      capture_ok(several, builder, stream_of(codec, threads));
      CHECK((several.content() == one.content()));
      CHECK((several.sums() == one.sums()));
    }
  }
}

TEST_CASE("stream_writer: through a pipe only the first frame and the seek table differ") {
  for (Compression codec : kCodecs) {
    MemoryTarget target;
    AppendTarget pipe;
    capture_ok(target, far_apart(), stream_of(codec));
    capture_ok(pipe, far_apart(), stream_of(codec));
    CHECK(pipe.state() == MemoryTarget::State::kSealed);
    std::vector<Frame> frames = whole_frames(pipe.content());
    CHECK(frames.back().magic == kClosingMagic);
    check_closing(pipe.content(), frames, kClosingWhole, 0);
    size_t begin = frames[1].offset;
    CHECK(
        std::ranges::equal(Bytes(pipe.content()).subspan(begin),
                           Bytes(target.content()).subspan(begin, pipe.content().size() - begin)));
    KdumpReader reader = open(content_of(frames));
    CHECK(reader.incomplete());
    CHECK(reader.header().written_blocks == 0);
    std::vector<KnownPage> pages = known_pages(far_apart());
    CHECK(compare(pages, reader).right == pages.size());
  }
}

TEST_CASE("stream_writer: the journal covers the file without gaps") {
  MemoryTarget target;
  capture_ok(target, large_crash(2), stream_of(Compression::kZstd));
  CHECK((target.synced_sums() == target.sums()));
  auto header = load<JournalHeader>(target.sums(), 0);
  CHECK(header.format == 1);
  CHECK(header.compression == 1);
  CHECK(header.level == 1);
  CHECK(header.dump_level == 1);
  std::vector<ListedPiece> pieces = pieces_of(target.sums());
  CHECK(pieces.back().end == target.sums().size());
  uint64_t end = 0;
  uint64_t pages = 0;
  std::vector<PieceKind> kinds;
  for (const auto& [record, unused] : pieces) {
    if (kinds.empty() || kinds.back() != record.kind) kinds.push_back(record.kind);
    pages += record.stored + record.zero;
    if (record.kind == PieceKind::kPlan || record.kind == PieceKind::kEnd) continue;
    bool same =
        record.digest == digest64(Bytes(target.content()).subspan(record.offset, record.length));
    // The first frame is not any more what it was when it was written.
    CHECK(same == (end > 0));
    if (record.kind == PieceKind::kSealedHead) {
      CHECK(record.offset == 0);
      continue;
    }
    CHECK(record.offset == end);
    end += record.length;
  }
  CHECK(end == target.content().size());
  CHECK(pages == known_pages(large_crash(2)).size());
  CHECK((kinds == std::vector{PieceKind::kHead, PieceKind::kPlan, PieceKind::kPages,
                              PieceKind::kTail, PieceKind::kSealedHead, PieceKind::kEnd}));
  CHECK(pieces.back().record.offset == end);
}

TEST_CASE("stream_writer: a journal that does not read back as written is an error") {
  class Lying : public MemoryTarget {
   public:
    explicit Lying(uint64_t at) : at_(at) {}
    Status read_sums(uint64_t offset, MutableBytes into) override {
      DW_TRY(MemoryTarget::read_sums(offset, into));
      if (at_ >= offset && at_ < offset + into.size()) into[at_ - offset] ^= std::byte{1};
      return {};
    }

   private:
    uint64_t at_;
  };
  TemporaryVmcore file(large_crash(2));
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Lying target(sizeof(JournalHeader) + 3 * record_bytes(0));
  Status captured = capture_into(target, vmcore, stream_of(Compression::kZstd));
  CHECK(contains(text_of(captured), "the list of checksums is not what was written at offset 0x"));
  CHECK(target.state() == MemoryTarget::State::kPublished);
}

TEST_CASE("stream_writer: pages that cannot be read are marked, and the dump is incomplete") {
  VmcoreBuilder builder = large_crash(3);
  std::vector<KnownPage> pages = known_pages(builder);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path(), ReadMethod::kRead).value());
  constexpr uint64_t kLost = 10;
  REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(builder.file_size() - kLost * 4096)) == 0);
  for (Compression codec : kCodecs) {
    MemoryTarget target;
    REQUIRE(capture_into(target, vmcore, stream_of(codec)).ok());
    CHECK(target.synced_state() == MemoryTarget::State::kPublished);
    const Image& dump = target.synced();
    std::vector<Frame> frames = whole_frames(dump);
    check_closing(dump, frames, 0, kLost);
    if (codec != Compression::kLz4) check_seek_table(dump, frames);
    auto mark = std::ranges::find(frames, kMissingMarkMagic, &Frame::magic);
    REQUIRE(mark != frames.end());
    auto missing = load<MissingMark>(dump, mark->offset);
    unsigned bits = 0;
    for (uint8_t slots : missing.slots) bits += static_cast<unsigned>(std::popcount(slots));
    CHECK(bits == kLost);
    size_t last = (mark - 1)->content.size() / 4096 - 1;
    CHECK((missing.slots[last / 8] >> last % 8 & 1) == 1);

    KdumpReader reader = open(content_of(frames));
    CHECK(reader.incomplete());
    Comparison result = compare(pages, reader);
    CHECK(result.missing == kLost);
    CHECK(result.right == pages.size() - kLost);
  }
}

TEST_CASE("stream_writer: nothing kept") {
  MemoryTarget target;
  KdumpDescription description;
  description.max_mapnr = 100000;
  auto writer = std::move(StreamWriter::create(target, description, {}, 4096,
                                               [](uint64_t, MutableBytes bits) -> Status {
                                                 std::ranges::fill(bits, std::byte{0});
                                                 return {};
                                               })
                              .value());
  Plan plan = std::move(PlanBuilder::create(std::span<const uint64_t>(), true).value()).finish();
  REQUIRE(writer->begin(plan).ok());
  REQUIRE(writer->publish().ok());
  REQUIRE(writer->finish(true).ok());
  KdumpReader reader = open(content_of(whole_frames(target.synced())));
  CHECK(reader.summarize()->kept == 0);
  CHECK(writer->read_kept(0, {}).error().kind() == ErrorKind::kUnsupported);
}

TEST_CASE("stream_writer: an error where memory is asked for is passed on") {
  MemoryTarget target;
  KdumpDescription description;
  description.max_mapnr = 8;
  auto writer = std::move(
      StreamWriter::create(target, description, {}, 4096, [](uint64_t, MutableBytes) -> Status {
        return Error(ErrorKind::kIo, "no bitmap");
      }).value());
  CHECK(text_of(writer->write_bitmaps(0, {}, {})) == "no bitmap");
}

TEST_CASE("stream_writer: zlib has no frames") {
  MemoryTarget target;
  auto made = StreamWriter::create(target, {}, {.compression = Compression::kZlib}, 4096, {});
  REQUIRE_FALSE(made.ok());
  CHECK(made.error().kind() == ErrorKind::kUsage);
}
