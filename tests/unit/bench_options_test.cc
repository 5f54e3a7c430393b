#include "capture/cli/bench_options.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

Result<BenchOptions> parse(const std::vector<const char*>& arguments) {
  return parse_bench_options(arguments);
}

}  // namespace

TEST_CASE("bench options: defaults") {
  Result<BenchOptions> options = parse({"vmcore"});
  REQUIRE_MESSAGE(options.ok(), text_of(options));
  CHECK(options->source == "vmcore");
  CHECK(options->target.empty());
  CHECK(options->dump_level == 31);
  CHECK(options->threads == 0);
  CHECK(options->sample_bytes == 64 << 20);
  CHECK(options->seconds == 1);
  CHECK_FALSE(options->json);
}

TEST_CASE("bench options: every option, in each of its spellings") {
  Result<BenchOptions> options = parse({"-d1", "vmcore", "--threads=3", "--sample", "2M",
                                        "file:/srv/dumps", "--seconds", "0.25", "--json"});
  REQUIRE_MESSAGE(options.ok(), text_of(options));
  CHECK(options->dump_level == 1);
  CHECK(options->threads == 3);
  CHECK(options->sample_bytes == 2 << 20);
  CHECK(options->seconds == 0.25);
  CHECK(options->target == "/srv/dumps");
  CHECK(options->json);
  CHECK(parse({"-d", "0", "vmcore"})->dump_level == 0);
  CHECK(parse({"--dump-level=7", "vmcore"})->dump_level == 7);
  CHECK(parse({"--dump-level", "8", "vmcore"})->dump_level == 8);
  CHECK(parse({"--sample=4G", "vmcore"})->sample_bytes == uint64_t{4} << 30);
  CHECK(parse({"vmcore", "./a:b"})->target == "./a:b");
  CHECK(parse({"--help"})->help);
}

TEST_CASE("bench options: what is refused, and named") {
  struct Case {
    std::vector<const char*> arguments;
    const char* what;
  };
  const Case cases[] = {
      {{}, "no vmcore"},
      {{"--json"}, "no vmcore"},
      {{"v", "t", "more"}, "more: bench takes one vmcore and one target"},
      {{"v", "-x"}, "-x: no such option"},
      {{"v", "--jason"}, "--jason: no such option"},
      {{"v", "--json=1"}, "--json=1: no such option"},
      {{"v", "--threads"}, "--threads: the option needs a value"},
      {{"v", "--threads", "0"}, "0: --threads"},
      {{"v", "--threads", "31"}, "31: --threads"},
      {{"v", "-d32"}, "32: the dump level"},
      {{"v", "-d-1"}, "-1: the dump level"},
      {{"v", "--dump-level="}, "the dump level"},
      {{"v", "--sample", "1023K"}, "1023K: --sample"},
      {{"v", "--sample", "5G"}, "5G: --sample"},
      {{"v", "--sample", "99999999999999999999"}, "--sample"},
      {{"v", "--sample", "M"}, "M: --sample"},
      {{"v", "--seconds", "0"}, "0: --seconds"},
      {{"v", "--seconds", "1e3"}, "1e3: --seconds"},
      {{"v", "--seconds", "inf"}, "inf: --seconds"},
      {{"v", "--seconds", "1.2.3"}, "1.2.3: --seconds"},
      {{"v", "--seconds", "601"}, "601: --seconds"},
      {{"v", "-"}, "-: bench cannot measure this kind of target"},
      {{"v", "ssh://host/dir"}, "cannot measure this kind of target"},
      {{"v", "raw:/dev/vda"}, "cannot measure this kind of target"},
      {{"v", "host:/export"}, "cannot measure this kind of target"},
      {{"v", "file:"}, "a target without a directory"},
  };
  for (const Case& one : cases) {
    Result<BenchOptions> options = parse(one.arguments);
    REQUIRE_MESSAGE(!options.ok(), one.what);
    CHECK(options.error().kind() == ErrorKind::kUsage);
    CHECK_MESSAGE(contains(text_of(options), one.what), text_of(options));
  }
}
