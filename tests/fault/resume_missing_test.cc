// Dumps of a vmcore some of whose pages cannot be read are continued like others: byte for byte.

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "capture/format/stream_format.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/journals.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

constexpr unsigned kLimitSeconds = 240;
constexpr CaptureSettings kSettings[] = {
    {.compression = {}},
    {.format = DumpFormat::kStream, .compression = {}},
    {.format = DumpFormat::kStream, .compression = {.compression = Compression::kLz4}},
    {.format = DumpFormat::kElf, .compression = {.compression = Compression::kNone}},
};

// A vmcore of a few batches; with its file cut, pages at its end and some before are gone.
class Source {
 public:
  explicit Source(uint64_t lost_pages) : builder_(large_crash(5)), file_(builder_) {
    vmcore_.emplace(std::move(Vmcore::open(file_.path(), ReadMethod::kRead).value()));
    lose(lost_pages);
  }
  [[nodiscard]] const Vmcore& vmcore() const { return *vmcore_; }
  void lose(uint64_t pages) {
    REQUIRE(::ftruncate(file_.fd(), static_cast<off_t>(builder_.file_size() - pages * 4096)) == 0);
  }

 private:
  VmcoreBuilder builder_;
  TemporaryVmcore file_;
  std::optional<Vmcore> vmcore_;
};

struct Dump {
  Image bytes;
  Image journal;
  bool operator==(const Dump&) const = default;
};

Dump captured(const Source& source, const CaptureSettings& settings) {
  MemoryTarget target;
  REQUIRE(capture_into(target, source.vmcore(), settings).ok());
  return {.bytes = target.synced(), .journal = target.synced_sums()};
}

Dump continued(const Dump& remains, const Source& source, const CaptureSettings& settings,
               uint64_t& batches) {
  MemoryTarget target;
  REQUIRE(target.write_at(0, remains.bytes).ok());
  REQUIRE(target.append_sums(remains.journal).ok());
  REQUIRE(target.publish().ok());
  Result<uint64_t> kept = resume_into(target, source.vmcore(), settings);
  REQUIRE_MESSAGE(kept.ok(), text_of(kept));
  batches = *kept;
  return {.bytes = target.synced(), .journal = target.synced_sums()};
}

}  // namespace

TEST_CASE("resume: an incomplete dump, from any record of its journal") {
  TimeLimit limit(kLimitSeconds);
  Source source(700);  // two batches and some of a third
  for (const CaptureSettings& settings : kSettings) {
    CAPTURE(name_of(settings.format));
    Dump whole = captured(source, settings);
    uint64_t batches = 0;
    uint64_t most = 0;
    bool past_plan = false;
    for (const ListedPiece& piece : pieces_of(whole.journal)) {
      past_plan = past_plan || piece.record.kind == PieceKind::kPlan;
      if (!past_plan) continue;
      Dump remains = whole;
      remains.journal.resize(piece.end);
      CHECK((continued(remains, source, settings, batches) == whole));
      // A frame some of whose pages are missing counts only with its mark.
      bool half = settings.format == DumpFormat::kStream && piece.record.missing > 0;
      CHECK(batches == most + (piece.record.kind == PieceKind::kPages && !half ? 1 : 0) +
                           (piece.record.kind == PieceKind::kMark ? 1 : 0));
      most = batches;
    }
    CHECK(most > 3);
  }
}

TEST_CASE("resume: a stream whose mark of missing pages is damaged") {
  Source source(700);
  const CaptureSettings& settings = kSettings[1];
  Dump whole = captured(source, settings);
  uint64_t marks = 0;
  uint64_t batch = 0;
  for (const auto& [record, unused] : pieces_of(whole.journal)) {
    if (record.kind == PieceKind::kPages) ++batch;
    if (record.kind != PieceKind::kMark) continue;
    ++marks;
    Dump remains = whole;
    remains.bytes[record.offset + offsetof(MissingMark, slots) + 31] ^= std::byte{0x80};
    uint64_t kept = 0;
    CHECK((continued(remains, source, settings, kept) == whole));
    CHECK(kept == batch - 1);
  }
  CHECK(marks > 1);
}

TEST_CASE("resume: what an interrupted run left of pages that are lost now does not stay") {
  TimeLimit limit(kLimitSeconds);
  for (const CaptureSettings& settings : kSettings) {
    CAPTURE(name_of(settings.format));
    Source source(0);
    Dump remains = captured(source, settings);
    std::vector<ListedPiece> pieces = pieces_of(remains.journal);
    auto first = std::ranges::find(pieces, PieceKind::kPages,
                                   [](const ListedPiece& piece) { return piece.record.kind; });
    REQUIRE(first != pieces.end());
    remains.journal.resize(first->end);
    source.lose(700);
    uint64_t kept = 0;
    CHECK((continued(remains, source, settings, kept) == captured(source, settings)));
    CHECK(kept == 1);
  }
}
