#include "capture/report/progress.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>

#include "capture/base/fd.h"

using namespace dw;

namespace {

constexpr ProgressState kHalf{.pages_done = 500,
                              .total_pages = 1000,
                              .pages_before = 0,
                              .bytes_written = 300ull << 20,
                              .elapsed_ms = 20'000,
                              .bytes_per_second = (12ull << 20) + (3ull << 18)};

}  // namespace

TEST_CASE("progress: share, rate and time left") {
  CHECK(progress_line(ProgressMode::kPlain, kHalf) ==
        " 50 %, 500 of 1000 pages, 300 MiB written, 12.7 MiB/s, 20 s, about 20 s left");
  std::string json = progress_line(ProgressMode::kJson, kHalf);
  CHECK(json ==
        "{\"pages\": 500, \"total_pages\": 1000, \"bytes\": 314572800, \"bytes_per_second\": "
        "13369344, \"elapsed_ms\": 20000, \"left_ms\": 20000}");
}

TEST_CASE("progress: what an interrupted run left did not take any time") {
  ProgressState state = kHalf;
  state.pages_before = 400;
  CHECK(progress_line(ProgressMode::kPlain, state).ends_with("about 100 s left"));
}

TEST_CASE("progress: nothing done yet, and nothing to do") {
  ProgressState state;
  CHECK(progress_line(ProgressMode::kPlain, state) ==
        "  0 %, 0 of 0 pages, 0 MiB written, 0.0 MiB/s, 0 s, about 0 s left");
  state = kHalf;
  state.pages_before = 600;
  CHECK(progress_line(ProgressMode::kPlain, state).ends_with("about 0 s left"));
  state.pages_done = 2000;
  CHECK(progress_line(ProgressMode::kPlain, state).starts_with("100 %, 2000 of 1000 pages"));
}

TEST_CASE("progress: at most one line a second, fewer on a serial line") {
  CHECK(progress_interval_ms(Console::kScreen) >= 1000);
  CHECK(progress_interval_ms(Console::kFile) >= progress_interval_ms(Console::kScreen));
  CHECK(progress_interval_ms(Console::kSerial) > progress_interval_ms(Console::kFile));
}

TEST_CASE("progress: a file is no screen, and a pseudo terminal no serial line") {
  auto file = open_file("/dev/null", O_RDWR);
  REQUIRE(file.ok());
  CHECK(console_of(file->get()) == Console::kFile);
  Fd terminal(::posix_openpt(O_RDWR | O_NOCTTY));
  REQUIRE(terminal.get() >= 0);
  CHECK(console_of(terminal.get()) == Console::kScreen);
}
