#include "capture/codec/compression.h"

#include <doctest/doctest.h>

#include "tests/unit/support/text.h"

using namespace dw;
using test::contains;
using test::text_of;

TEST_CASE("compression: names with and without a level") {
  struct Case {
    const char* text;
    Compression compression;
    int level;
  };
  for (const Case& one :
       {Case{"none", Compression::kNone, 1}, Case{"zstd", Compression::kZstd, 1},
        Case{"zstd:-50", Compression::kZstd, -50}, Case{"zstd:22", Compression::kZstd, 22},
        Case{"lz4", Compression::kLz4, 1}, Case{"lz4:-50", Compression::kLz4, -50},
        Case{"zlib", Compression::kZlib, 1}, Case{"zlib:12", Compression::kZlib, 12}}) {
    CAPTURE(one.text);
    Result<CompressionOptions> options = parse_compression(one.text);
    REQUIRE(options.ok());
    CHECK(options->compression == one.compression);
    CHECK(options->level == one.level);
  }
}

TEST_CASE("compression: what is not known is a usage error that says what is") {
  for (const char* bad : {"", "gzip", "zstd1", "ZSTD", "none:1", ":1", "zst", "lz4hc"}) {
    CAPTURE(bad);
    Result<CompressionOptions> options = parse_compression(bad);
    REQUIRE_FALSE(options.ok());
    CHECK(options.error().kind() == ErrorKind::kUsage);
    CHECK(contains(text_of(options), "no such compression; use zstd, lz4 or zlib"));
  }
  for (const char* bad :
       {"zstd:", "zstd:23", "zstd:-51", "zstd:1x", "zstd: 1", "zstd:1:1", "zstd:0"}) {
    CAPTURE(bad);
    CHECK(contains(text_of(parse_compression(bad)), "use zstd:LEVEL with a level from -50 to 22"));
  }
  for (const char* bad : {"lz4:", "lz4:0", "lz4:2", "lz4:-51", "lz4:99999999999"})
    CHECK(contains(text_of(parse_compression(bad)), "use lz4:LEVEL with a level from -50"));
  for (const char* bad : {"zlib:0", "zlib:13", "zlib:-1"})
    CHECK(contains(text_of(parse_compression(bad)), "use zlib:LEVEL with a level from 1 to 12"));
}

TEST_CASE("compression: a name is what is parsed") {
  for (const char* name : {"none", "zstd", "lz4", "zlib"})
    CHECK(name_of(parse_compression(name)->compression) == name);
}
