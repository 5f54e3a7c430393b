// Whatever fails, and whenever the power goes: a published dump opens, and no page reads wrong.

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "capture/target/memory_target.h"
#include "tests/fault/crash_target.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kLimitSeconds = 240;
constexpr CaptureSettings kSettings[] = {
    {.compression = {}, .checkpoint_each_batch = true},
    {.compression = {.compression = Compression::kNone}, .checkpoint_each_batch = true},
    {.compression = {}, .threads = 2, .checkpoint_each_batch = false},
};

// The dump opens, nothing in it is wrong, and it is whole if it says so. Returns pages read.
uint64_t check_image(const Subject& subject, const std::vector<std::byte>& image, bool sealed) {
  Result<KdumpReader> reader = KdumpReader::open(memory_file(image));
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  Comparison result = compare(subject.pages, *reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused == 0);
  CHECK(result.excluded == 0);
  if (sealed || !reader->incomplete()) CHECK(result.right == subject.pages.size());
  if (sealed) CHECK_FALSE(reader->incomplete());
  return result.right;
}

void check_durable(const Subject& subject, const CrashTarget& target) {
  if (target.state() == CrashTarget::State::kStaged) return;
  check_image(subject, target.durable(), target.state() == CrashTarget::State::kSealed);
}

uint64_t count_calls(const Subject& subject, const CaptureSettings& settings) {
  CrashTarget target;
  REQUIRE(capture_into(target, subject.vmcore, settings).ok());
  REQUIRE(target.state() == CrashTarget::State::kSealed);
  return target.calls();
}

}  // namespace

TEST_CASE("kdump_writer: any call may fail, once and for all") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    uint64_t calls = count_calls(subject, settings);
    for (int errno_value : {EIO, ENOSPC}) {
      for (uint64_t k = 0; k < calls; ++k) {
        CAPTURE(k);
        MemoryTarget memory;
        FaultTarget target(memory, k, errno_value);
        Status status = capture_into(target, subject.vmcore, settings);
        REQUIRE_FALSE(status.ok());
        CHECK(status.error().errno_value() == errno_value);
        CHECK(memory.synced_state() != MemoryTarget::State::kSealed);
        if (memory.synced_state() != MemoryTarget::State::kStaged)
          check_image(subject, memory.synced(), false);
      }
    }
  }
}

TEST_CASE("kdump_writer: any call may fail once, and what follows may succeed") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    uint64_t calls = count_calls(subject, settings);
    for (uint64_t k = 0; k < calls; ++k) {
      CAPTURE(k);
      CrashTarget target(k, ENOSPC);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      CHECK(target.state() != CrashTarget::State::kSealed);
      check_durable(subject, target);
    }
  }
}

TEST_CASE("kdump_writer: a full target keeps what landed before") {
  Subject subject;
  const CaptureSettings& settings = kSettings[0];
  uint64_t most = 0;
  for (uint64_t k = 0; k < count_calls(subject, settings); ++k) {
    CrashTarget target(k, ENOSPC);
    CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
    if (target.state() == CrashTarget::State::kPublished)
      most = std::max(most, check_image(subject, target.durable(), false));
  }
  CHECK(most == subject.pages.size());  // only the last steps failed
}

TEST_CASE("kdump_writer: the power may go after any call, with any part of what was not synced") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    CrashTarget target;
    uint64_t images = 0;
    target.on_change = [&] {
      if (target.state() == CrashTarget::State::kStaged) return;
      bool sealed = target.state() == CrashTarget::State::kSealed;
      check_image(subject, target.durable(), sealed);
      for (uint64_t seed = 1; seed <= 6; ++seed, ++images)
        check_image(subject, target.partly_durable(target.calls() * 100 + seed), sealed);
    };
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    CHECK(images > 6 * 5);
  }
}

TEST_CASE("kdump_writer: with a failed call and a power cut together") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    uint64_t calls = count_calls(subject, settings);
    for (uint64_t k = 0; k < calls; ++k) {
      CrashTarget target(k, EIO);
      CHECK_FALSE(capture_into(target, subject.vmcore, settings).ok());
      if (target.state() == CrashTarget::State::kStaged) continue;
      for (uint64_t seed = 1; seed <= 3; ++seed)
        check_image(subject, target.partly_durable(seed), false);
    }
  }
}

TEST_CASE("kdump_writer: a copy that is cut at any length has no wrong page") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    MemoryTarget target;
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    const std::vector<std::byte>& whole = target.content();
    uint64_t opened = 0;
    for (size_t size = 0; size < whole.size(); size += 509) {  // a prime
      std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      Result<KdumpReader> reader = KdumpReader::open(memory_file(cut));
      if (!reader.ok()) continue;
      ++opened;
      Comparison result = compare(subject.pages, *reader);
      CHECK(result.wrong == 0);
      CHECK(result.excluded == 0);
      CHECK(result.right < subject.pages.size());
      CHECK(reader->summarize().ok());
    }
    CHECK(opened > 20);
  }
}
