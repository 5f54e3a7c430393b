// Whatever fails, and whenever the power goes: what a stream has up to there is right, and nothing
// calls it whole that is not. The same for an ELF core, of which only the name says that it is
// whole.

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "capture/codec/running_digest.h"
#include "capture/format/stream_format.h"
#include "capture/target/memory_target.h"
#include "tests/fault/crash_target.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/frames.h"
#include "tests/unit/support/journals.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

constexpr unsigned kLimitSeconds = 240;
constexpr CaptureSettings kStreams[] = {
    {.format = DumpFormat::kStream,
     .compression = {.compression = Compression::kZstd},
     .checkpoint_each_batch = true},
    {.format = DumpFormat::kStream,
     .compression = {.compression = Compression::kLz4},
     .checkpoint_each_batch = true},
    {.format = DumpFormat::kStream,
     .compression = {.compression = Compression::kZstd},
     .threads = 2,
     .checkpoint_each_batch = false},
};

constexpr CaptureSettings kElf{.format = DumpFormat::kElf,
                               .compression = {.compression = Compression::kNone},
                               .checkpoint_each_batch = true};

// A capture that nothing happened to.
struct Whole {
  Whole(const Subject& subject, const CaptureSettings& settings) {
    CrashTarget counting;
    REQUIRE(capture_into(counting, subject.vmcore, settings).ok());
    calls = counting.calls();
    MemoryTarget target;
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    file = target.content();
    frames = whole_frames(file);
    content = content_of(frames);
  }

  uint64_t calls = 0;
  Image file;
  std::vector<Frame> frames;
  Image content;
};

bool starts_with(const Image& whole, const Image& part) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// Frame by frame it is the whole one as far as it goes, except for the status in the header and a
// closing frame that says that this is no whole dump. Returns how many frames are there.
size_t check_prefix(const Whole& whole, const Image& image, bool sealed) {
  std::vector<Frame> frames = whole_frames(image);
  if (frames.empty()) return 0;
  Image content = content_of(frames);
  KdumpHeader header = load<KdumpHeader>(content, 0);
  bool incomplete = (header.status & kStatusIncomplete) != 0;
  CHECK(header.written_blocks ==
        (incomplete ? 0 : load<KdumpHeader>(whole.content, 0).written_blocks));
  for (size_t i = 1; i < frames.size(); ++i) {
    if (frames[i].magic != kClosingMagic) continue;
    bool last_frame = i + 1 >= whole.frames.size() || whole.frames[i].magic == kClosingMagic;
    bool says_whole = load<ClosingFrame>(image, frames[i].offset).flags == kClosingWhole;
    CHECK((!says_whole || last_frame));
  }
  Image expected = whole.content;
  store(expected, 0, header);
  CHECK(starts_with(expected, content));
  if (sealed || !incomplete) CHECK((image == whole.file));
  if (sealed) CHECK_FALSE(incomplete);
  return frames.size();
}

// What the journal vouches for is in the file.
void check_journal(const Image& journal, const Image& file) {
  uint64_t end = 0;
  for (const auto& [record, unused] : pieces_of(journal)) {
    if (record.kind == PieceKind::kPlan || record.kind == PieceKind::kEnd) continue;
    if (record.offset == 0) {
      end = std::max<uint64_t>(end, record.length);
      continue;
    }
    CHECK(record.offset == end);
    end += record.length;
    REQUIRE(end <= file.size());
    CHECK(record.digest == digest64(Bytes(file).subspan(record.offset, record.length)));
  }
}

// A first frame that says that the dump is whole is one that the journal knows, whatever the power
// takes.
void check_sealed_frame(const Image& durable_journal, const Image& file) {
  std::vector<Frame> frames = whole_frames(file);
  if (frames.empty()) return;
  if ((load<KdumpHeader>(frames[0].content, 0).status & kStatusIncomplete) != 0) return;
  uint64_t digest = digest64(Bytes(file).first(frames[0].length));
  std::vector<ListedPiece> pieces = pieces_of(durable_journal);
  CHECK(std::ranges::any_of(pieces, [digest](const ListedPiece& piece) {
    return piece.record.kind == PieceKind::kSealedHead && piece.record.digest == digest;
  }));
  CHECK(pieces.back().record.kind == PieceKind::kEnd);
  CHECK(pieces.back().record.offset == file.size());
}

// The head of a published stream is there to its last byte.
size_t head_frames(const Whole& whole) {
  auto header = std::move(KdumpReader::open(memory_file(whole.content)).value());
  uint64_t content = 0;
  size_t count = 0;
  for (; content < header.layout().data_offset; ++count)
    content += whole.frames[count].content.size();
  return count;
}

}  // namespace

TEST_CASE("stream_writer: any call may fail, once and for all") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kStreams) {
    Whole whole(subject, settings);
    for (int errno_value : {EIO, ENOSPC}) {
      for (uint64_t k = 0; k < whole.calls; ++k) {
        CAPTURE(k);
        MemoryTarget memory;
        FaultTarget target(memory, k, errno_value);
        Status status = capture_into(target, subject.vmcore, settings);
        REQUIRE_FALSE(status.ok());
        CHECK(status.error().errno_value() == errno_value);
        CHECK(memory.synced_state() != MemoryTarget::State::kSealed);
        check_prefix(whole, memory.synced(), false);
        check_journal(memory.synced_sums(), memory.synced());
      }
    }
  }
}

TEST_CASE("stream_writer: any call may fail once, and what follows may succeed") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kStreams) {
    Whole whole(subject, settings);
    size_t head = head_frames(whole);
    size_t most = 0;
    for (uint64_t k = 0; k < whole.calls; ++k) {
      CAPTURE(k);
      CrashTarget target(k, ENOSPC);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      CHECK(target.state() != CrashTarget::State::kSealed);
      size_t frames = check_prefix(whole, target.durable(), false);
      check_journal(target.written_sums(), target.durable());
      if (target.state() == CrashTarget::State::kPublished) CHECK(frames >= head);
      most = std::max(most, frames);
    }
    CHECK(most == whole.frames.size());  // only the last steps failed
  }
}

TEST_CASE("stream_writer: the power may go after any call, with any part of what was not synced") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kStreams) {
    Whole whole(subject, settings);
    size_t head = head_frames(whole);
    CrashTarget target;
    uint64_t images = 0;
    size_t before = 0;
    target.on_change = [&] {
      bool sealed = target.state() == CrashTarget::State::kSealed;
      size_t frames = check_prefix(whole, target.durable(), sealed);
      CHECK(frames >= before);
      before = frames;
      // Sums that nobody synced may be on the disk too.
      check_journal(target.written_sums(), target.durable());
      if (target.state() == CrashTarget::State::kStaged) return;
      CHECK(frames >= head);
      for (uint64_t seed = 1; seed <= 6; ++seed, ++images) {
        Image image = target.partly_durable(target.calls() * 100 + seed);
        CHECK(check_prefix(whole, image, sealed) >= frames);
        check_journal(target.written_sums(), image);
        check_sealed_frame(target.durable_sums(), image);
      }
    };
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    CHECK(images > 6 * 5);
  }
}

TEST_CASE("stream_writer: a copy that is cut at any length is a prefix") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kStreams) {
    Whole whole(subject, settings);
    for (size_t size = 0; size < whole.file.size(); size += 211) {  // a prime
      Image cut(whole.file.begin(), whole.file.begin() + static_cast<ptrdiff_t>(size));
      std::vector<Frame> frames = whole_frames(cut);
      CHECK(frames.size() < whole.frames.size());
      CHECK(starts_with(whole.content, content_of(frames)));
    }
  }
}

TEST_CASE("stream_writer: through a pipe that breaks at any call") {
  Subject subject;
  for (CaptureSettings settings : kStreams) {
    AppendTarget unbroken;
    REQUIRE(capture_into(unbroken, subject.vmcore, settings).ok());
    Image content = content_of(whole_frames(unbroken.content()));
    uint64_t failures = 0;
    for (uint64_t k = 0; true; ++k, ++failures) {
      AppendTarget pipe;
      FaultTarget target(pipe, k, EPIPE);
      Status captured = capture_into(target, subject.vmcore, settings);
      if (captured.ok()) break;
      CHECK(captured.error().errno_value() == EPIPE);
      CHECK(pipe.state() != MemoryTarget::State::kSealed);
      CHECK(starts_with(content, content_of(whole_frames(pipe.content()))));
    }
    CHECK(failures > kChunks);
  }
}

TEST_CASE("elf_writer: any call may fail, and the power may go after any call") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  CrashTarget whole;
  REQUIRE(capture_into(whole, subject.vmcore, kElf).ok());
  for (uint64_t k = 0; k < whole.calls(); ++k) {
    CAPTURE(k);
    CrashTarget target(k, EIO);
    CHECK_FALSE(capture_into(target, subject.vmcore, kElf).ok());
    CHECK(target.state() != CrashTarget::State::kSealed);
    if (target.state() == CrashTarget::State::kStaged) continue;
    // Its headers are whole, and it is as long as they say.
    Fd file = memory_file(target.durable());
    CHECK(read_elf_headers(file.get(), target.durable().size()).ok());
  }
  CrashTarget target;
  target.on_change = [&] {
    if (target.state() == CrashTarget::State::kStaged) return;
    Image image = target.partly_durable(target.calls());
    REQUIRE(image.size() == whole.durable().size());
    for (size_t at = 0; at + 512 <= image.size(); at += 512) {
      Bytes now = Bytes(image).subspan(at, 512);
      bool right = std::ranges::equal(now, Bytes(whole.durable()).subspan(at, 512));
      bool hole = std::ranges::all_of(now, [](std::byte byte) { return byte == std::byte{0}; });
      if (target.state() == CrashTarget::State::kSealed) hole = false;
      if (!right && !hole) FAIL("wrong bytes at " << at);
    }
  };
  REQUIRE(capture_into(target, subject.vmcore, kElf).ok());
  CHECK(target.state() == CrashTarget::State::kSealed);
}
