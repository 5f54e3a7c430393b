// A dump that was interrupted anywhere, and continued, is the dump of a run that nothing happened
// to: byte for byte, and its journal too.

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "capture/target/memory_target.h"
#include "tests/fault/crash_target.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

constexpr unsigned kLimitSeconds = 240;
constexpr CaptureSettings kSettings[] = {
    {.compression = {}, .checkpoint_each_batch = true},
    {.compression = {.compression = Compression::kNone}, .checkpoint_each_batch = true},
    {.compression = {}, .threads = 2, .checkpoint_each_batch = false},
    {.format = DumpFormat::kStream, .compression = {}, .checkpoint_each_batch = true},
    {.format = DumpFormat::kStream,
     .compression = {.compression = Compression::kLz4},
     .threads = 2,
     .checkpoint_each_batch = false},
    {.format = DumpFormat::kElf,
     .compression = {.compression = Compression::kNone},
     .checkpoint_each_batch = true},
};
const CaptureSettings* const kOneOfEach[] = {&kSettings[0], &kSettings[3], &kSettings[5]};

// What an interrupted run left.
struct Remains {
  Image dump;
  Image sums;
};

void put(MemoryTarget& target, const Remains& remains) {
  REQUIRE(target.write_at(0, remains.dump).ok());
  REQUIRE(target.append_sums(remains.sums).ok());
  REQUIRE(target.sync().ok());
  REQUIRE(target.publish().ok());
}

// crash copies a page of size 0 from where the last one was; libkdumpfile finds one at offset 0.
void check_descriptors(const Image& image, const KdumpLayout& layout) {
  for (uint64_t i = 0; i < layout.descriptor_count; ++i) {
    auto descriptor =
        load<PageDescriptor>(image, layout.descriptors_offset + i * sizeof(PageDescriptor));
    bool unsettled = descriptor.size == kUnsettledSize && descriptor.flags == kPageZstd;
    bool half = (descriptor.offset == 0) != (descriptor.size == 0);
    if (half && !unsettled) FAIL("half a descriptor: " << i);
  }
}

void check_opens(const Subject& subject, const Image& image, bool sealed) {
  Result<KdumpReader> reader = KdumpReader::open(memory_file(image));
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  check_descriptors(image, reader->layout());
  Comparison result = compare(subject.pages, *reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused == 0);
  if (sealed) CHECK_FALSE(reader->incomplete());
  if (!reader->incomplete()) CHECK(result.right == subject.pages.size());
}

// A capture that nothing happened to.
struct Whole {
  Whole(const Vmcore& vmcore_in, const CaptureSettings& settings_in)
      : vmcore(vmcore_in), settings(settings_in) {
    MemoryTarget target;
    REQUIRE(capture_into(target, vmcore, settings).ok());
    REQUIRE(target.synced_state() == MemoryTarget::State::kSealed);
    dump = target.synced();
    sums = target.synced_sums();
    CrashTarget counting;
    REQUIRE(capture_into(counting, vmcore, settings).ok());
    calls = counting.calls();
  }

  // At every moment of the run that goes on, the power may go.
  void check_images(const Subject& subject, const Remains& remains) const {
    CrashTarget target(remains.dump, remains.sums);
    target.on_change = [&] {
      bool sealed = target.state() == CrashTarget::State::kSealed;
      check_opens(subject, target.content(), sealed);
      for (uint64_t seed = 1; seed <= 3; ++seed)
        check_opens(subject, target.partly_durable(target.calls() * 10 + seed), sealed);
    };
    Result<uint64_t> kept = resume_into(target, vmcore, settings);
    REQUIRE_MESSAGE(kept.ok(), text_of(kept));
  }

  // Returns how many batches were kept.
  uint64_t check_continued(const Remains& remains) const {
    MemoryTarget target;
    put(target, remains);
    Result<uint64_t> kept = resume_into(target, vmcore, settings);
    REQUIRE_MESSAGE(kept.ok(), text_of(kept));
    CHECK(target.synced_state() == MemoryTarget::State::kSealed);
    CHECK((target.synced() == dump));
    CHECK((target.synced_sums() == sums));
    return *kept;
  }

  // Of a run whose target failed shortly before the end.
  [[nodiscard]] Remains interrupted() const {
    MemoryTarget memory;
    FaultTarget target(memory, calls - 8, EIO);
    CHECK_FALSE(capture_into(target, vmcore, settings).ok());
    REQUIRE(memory.state() == MemoryTarget::State::kPublished);
    return {memory.content(), memory.sums()};
  }

  const Vmcore& vmcore;
  const CaptureSettings& settings;
  Image dump;
  Image sums;
  uint64_t calls = 0;
};

// Of the list, what was synced and any part of what was not.
Image partly_durable_sums(const CrashTarget& target, uint64_t seed) {
  Image sums = target.written_sums();
  size_t least = std::min(target.durable_sums().size(), sums.size());
  sums.resize(least + seed * 7919 % (sums.size() - least + 1));
  return sums;
}

}  // namespace

TEST_CASE("resume: a run that is killed at any call") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    Whole whole(subject.vmcore, settings);
    uint64_t most = 0;
    for (uint64_t k = 0; k < whole.calls; k += kThinning) {
      CAPTURE(k);
      MemoryTarget memory;
      FaultTarget target(memory, k, EIO);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      if (memory.state() != MemoryTarget::State::kPublished) continue;
      most = std::max(most, whole.check_continued({memory.content(), memory.sums()}));
    }
    CHECK(most == kChunks);
  }
}

TEST_CASE("resume: a run that stopped because the disk was full for a moment") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    Whole whole(subject.vmcore, settings);
    for (uint64_t k = 0; k < whole.calls; k += kThinning) {
      CAPTURE(k);
      CrashTarget target(k, ENOSPC);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      if (target.state() != CrashTarget::State::kPublished) continue;
      whole.check_continued({target.durable(), target.durable_sums()});
    }
  }
}

TEST_CASE("resume: of what was not synced any part may be there") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    Whole whole(subject.vmcore, settings);
    CrashTarget target;
    uint64_t images = 0;
    uint64_t before = 0;
    target.on_change = [&] {
      if (target.state() != CrashTarget::State::kPublished) return;
      uint64_t kept = whole.check_continued({target.durable(), target.durable_sums()});
      CHECK(kept >= before);
      before = kept;
      for (uint64_t seed = 1; seed <= 4; ++seed, ++images)
        whole.check_continued({target.partly_durable(target.calls() * 100 + seed),
                               partly_durable_sums(target, target.calls() + seed)});
    };
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    CHECK(images > 0);
  }
}

TEST_CASE(
    "resume: whenever the power goes while a dump is continued, it opens and nothing is wrong") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : {kSettings[0], kSettings[1]}) {
    Whole whole(subject.vmcore, settings);
    for (uint64_t k = whole.calls / 4; k < whole.calls; k += 17) {
      CAPTURE(k);
      MemoryTarget memory;
      FaultTarget target(memory, k, EIO);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      if (memory.state() == MemoryTarget::State::kPublished)
        whole.check_images(subject, {memory.content(), memory.sums()});
    }
  }
}

TEST_CASE("resume: a run that continues is itself cut off, again and again") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    Whole whole(subject.vmcore, settings);
    for (uint64_t calls = 5; calls < 60; calls += 3 * kThinning) {
      CAPTURE(calls);
      MemoryTarget first;
      FaultTarget cut(first, whole.calls / 3, EIO);
      CHECK_FALSE(capture_into(cut, subject.vmcore, settings).ok());
      if (first.state() != MemoryTarget::State::kPublished) continue;
      Remains remains{first.content(), first.sums()};
      for (int turn = 0; turn < 3; ++turn) {
        MemoryTarget memory;
        put(memory, remains);
        FaultTarget again(memory, calls, EIO);
        if (resume_into(again, subject.vmcore, settings).ok()) break;
        if (memory.state() == MemoryTarget::State::kSealed) break;
        remains = {memory.content(), memory.sums()};
      }
      whole.check_continued(remains);
    }
  }
}

TEST_CASE("resume: damage sends it back to where the dump is right") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings* each : kOneOfEach) {
    const CaptureSettings& settings = *each;
    Whole whole(subject.vmcore, settings);
    const Remains left = whole.interrupted();
    uint64_t undamaged = whole.check_continued(left);
    uint64_t refused = 0;
    uint64_t earlier = 0;
    size_t step = std::max<size_t>(997, left.dump.size() / 1000 | 1);
    for (size_t at = 0; at < left.dump.size(); at += step) {
      CAPTURE(at);
      Remains remains = left;
      remains.dump[at] ^= std::byte{4};
      MemoryTarget damaged;
      put(damaged, remains);
      Result<uint64_t> kept = resume_into(damaged, subject.vmcore, settings);
      if (!kept.ok()) {  // the head: it cannot be mended, and stays as it was
        CHECK(kept.error().kind() == ErrorKind::kBadInput);
        CHECK((damaged.content() == remains.dump));
        CHECK((damaged.sums() == remains.sums));
        ++refused;
        continue;
      }
      if (*kept < undamaged) ++earlier;
      CHECK((damaged.synced() == whole.dump));
      CHECK((damaged.synced_sums() == whole.sums));
    }
    CHECK(refused > 0);
    CHECK(earlier > 0);
  }
}

TEST_CASE("resume: a dump that was cut goes on from where it is right") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  // A core that is too short for its headers is refused.
  for (const CaptureSettings* each : {&kSettings[0], &kSettings[3]}) {
    const CaptureSettings& settings = *each;
    Whole whole(subject.vmcore, settings);
    const Remains left = whole.interrupted();
    uint64_t last = whole.check_continued(left);
    REQUIRE(last > 2);
    unsigned kept_some = 0;
    for (size_t size = left.dump.size(); size > 0; size -= std::min<size_t>(size, 1999)) {
      Remains remains = left;
      remains.dump.resize(size);
      MemoryTarget cut;
      put(cut, remains);
      Result<uint64_t> kept = resume_into(cut, subject.vmcore, settings);
      if (!kept.ok()) continue;  // a head that is not whole
      CHECK(*kept <= last);
      last = *kept;
      kept_some += last > 0 ? 1 : 0;
      CHECK((cut.synced() == whole.dump));
    }
    CHECK(last == 0);
    CHECK(kept_some > 3);
  }
}

TEST_CASE("resume: another crash's dump, or another plan's, is left as it is") {
  Subject subject;
  for (const CaptureSettings* each : kOneOfEach) {
    const CaptureSettings& settings = *each;
    Whole whole(subject.vmcore, settings);
    const Remains remains = whole.interrupted();

    VmcoreBuilder other = eight_chunks();
    other.add_prstatus(4711);
    TemporaryVmcore other_file(other);
    Vmcore other_vmcore = std::move(Vmcore::open(other_file.path()).value());
    CaptureSettings level = settings;
    level.compression.level = 3;
    for (auto [vmcore, with] :
         {std::pair(&other_vmcore, settings), std::pair(&subject.vmcore, level)}) {
      MemoryTarget standing;
      put(standing, remains);
      Result<uint64_t> kept = resume_into(standing, *vmcore, with);
      REQUIRE_FALSE(kept.ok());
      CHECK(kept.error().kind() == ErrorKind::kBadInput);
      CHECK((standing.content() == remains.dump));
      CHECK((standing.sums() == remains.sums));
    }
    for (size_t size : {size_t{0}, sizeof(JournalHeader), remains.sums.size() / 3}) {
      MemoryTarget standing;
      Remains cut = remains;
      cut.sums.resize(size);
      put(standing, cut);
      Result<uint64_t> kept = resume_into(standing, subject.vmcore, settings);
      if (kept.ok() && size > sizeof(JournalHeader)) continue;
      REQUIRE_FALSE(kept.ok());
      CHECK(kept.error().kind() == ErrorKind::kBadInput);
      CHECK((standing.content() == remains.dump));
    }
  }
}
