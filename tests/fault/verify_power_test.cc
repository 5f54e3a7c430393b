// What power leaves of a dump and its list, wherever it goes: verify has nothing to say against it.

#include <doctest/doctest.h>

#include "tests/fault/crash_target.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/verified.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kLimitSeconds = 240;
constexpr CaptureSettings kSettings[] = {
    {.compression = {}, .checkpoint_each_batch = true},
    {.compression = {.compression = Compression::kNone}, .checkpoint_each_batch = true},
    {.compression = {.compression = Compression::kZlib}, .checkpoint_each_batch = true},
    {.format = DumpFormat::kStream, .compression = {}, .checkpoint_each_batch = true},
    {.format = DumpFormat::kStream,
     .compression = {.compression = Compression::kLz4},
     .checkpoint_each_batch = true},
    {.format = DumpFormat::kElf,
     .compression = {.compression = Compression::kNone},
     .checkpoint_each_batch = true},
};
constexpr uint64_t kSeeds = 3;

}  // namespace

TEST_CASE("verify: no damage is told of what the power left of a dump") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const CaptureSettings& settings : kSettings) {
    CAPTURE(static_cast<int>(settings.format));
    CrashTarget target;
    uint64_t changes = 0;
    uint64_t whole = 0;
    target.on_change = [&] {
      if (target.state() == CrashTarget::State::kStaged || ++changes % kThinning != 0) return;
      for (uint64_t seed = 0; seed <= kSeeds + 1; ++seed) {
        DumpImages left{.dump = target.durable(), .list = target.durable_sums()};
        if (seed > kSeeds)  // no power cut: the run was killed
          left = {.dump = target.content(), .list = target.written_sums()};
        else if (seed > 0)
          left = {.dump = target.partly_durable(seed), .list = target.partly_durable_sums(seed)};
        VerifyOutcome outcome = verify(left, target.state() == CrashTarget::State::kSealed);
        CHECK_MESSAGE(outcome.status() != 1, changes << "/" << seed << ": " << text_of(outcome));
        if (outcome.status() == 0) ++whole;
      }
    };
    REQUIRE(capture_into(target, subject.vmcore, settings).ok());
    CHECK(changes > 20);
    CHECK(whole > 0);
  }
}
