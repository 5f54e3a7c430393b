#include "capture/cli/retry_clock.h"

#include <doctest/doctest.h>

using namespace dw;

namespace {

class CountedEvents : public CaptureEvents {
 public:
  void on_progress() override { ++beats; }
  int beats = 0;
};

}  // namespace

TEST_CASE("retry: without any time nothing is tried again") {
  CountedEvents events;
  RetryClock clock(0, events);
  CHECK_FALSE(clock.wait(5));
  CHECK_FALSE(clock.wait(5));
  CHECK(events.beats == 0);
}

TEST_CASE("retry: the time ends where nothing moves, and waiting is no hanging") {
  CountedEvents events;
  RetryClock clock(600, events);
  int waits = 0;
  while (clock.wait(7)) REQUIRE(++waits < 10);
  CHECK(waits >= 2);  // half a second, and the rest
  CHECK(events.beats >= waits);
}

TEST_CASE("retry: progress gives the whole time again") {
  CountedEvents events;
  RetryClock clock(100, events);
  for (uint64_t progress = 1; progress < 6; ++progress) CHECK(clock.wait(progress));
  // What was there before is none.
  int waits = 0;
  while (clock.wait(3)) REQUIRE(++waits < 10);
}
