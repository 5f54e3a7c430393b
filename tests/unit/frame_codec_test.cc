#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "capture/codec/frame_compressor.h"
#include "capture/codec/frame_decompressor.h"
#include "tests/unit/support/contents.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using test::random_bytes;
using test::text_like;

namespace {

using Content = std::vector<std::byte>;

constexpr size_t kMax = size_t{1} << 20;
constexpr Compression kFrameKinds[] = {Compression::kNone, Compression::kZstd, Compression::kLz4};

FrameCompressor compressor_of(CompressionOptions options, size_t max_content = kMax) {
  return std::move(FrameCompressor::create(options, max_content).value());
}

Content compressed(FrameCompressor& compressor, const Content& content) {
  Content out(FrameCompressor::bound(content.size()));
  out.resize(compressor.compress(content, out));
  return out;
}

Content stored(FrameCompressor& compressor, const Content& content) {
  Content out(FrameCompressor::bound(content.size()));
  out.resize(compressor.store(content, out));
  return out;
}

Status decompress(Compression compression, Bytes frame, MutableBytes content) {
  FrameDecompressor decompressor = std::move(FrameDecompressor::create(compression).value());
  return decompressor.decompress(frame, content);
}

bool comes_back(Compression compression, Bytes frame, const Content& content) {
  Content back(content.size());
  return decompress(compression, frame, back).ok() && back == content;
}

std::string_view text_of_bytes(const Content& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append(Content& to, const Content& what) { to.insert(to.end(), what.begin(), what.end()); }

}  // namespace

TEST_CASE("frame codec: content of any size comes back, compressed and stored") {
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression}, 3 * kMax);
    for (size_t size : {size_t{0}, size_t{1}, size_t{12}, size_t{255}, size_t{256}, size_t{65536},
                        size_t{131072}, size_t{131073}, kMax - 1, kMax, kMax + 1, 3 * kMax}) {
      CAPTURE(size);
      for (const Content& content : {text_like(size), random_bytes(size, 1)}) {
        CHECK(comes_back(compression, compressed(compressor, content), content));
        CHECK(comes_back(compression, stored(compressor, content), content));
      }
    }
  }
}

TEST_CASE("frame codec: every level") {
  Content content = text_like(kMax);
  for (int level = -50; level <= 22; level += level < -5 ? 9 : 1) {
    CAPTURE(level);
    FrameCompressor compressor = compressor_of({.compression = Compression::kZstd, .level = level});
    Content frame = compressed(compressor, content);
    CHECK(frame.size() < kMax / 2);
    CHECK(comes_back(Compression::kZstd, frame, content));
  }
  for (int level : {-50, -1, 0, 1}) {
    CAPTURE(level);
    FrameCompressor compressor = compressor_of({.compression = Compression::kLz4, .level = level});
    Content frame = compressed(compressor, content);
    CHECK(frame.size() < kMax);
    CHECK(comes_back(Compression::kLz4, frame, content));
  }
}

TEST_CASE("frame codec: a stored frame holds its content as it is, its length tells nothing") {
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression});
    Content text = text_like(5000);
    Content frame = stored(compressor, text);
    CHECK(frame.size() > text.size());
    CHECK(std::search(frame.begin(), frame.end(), text.begin(), text.end()) != frame.end());
    CHECK(stored(compressor, random_bytes(5000, 1)).size() == frame.size());
  }
}

TEST_CASE("frame codec: without compression a frame is stored") {
  FrameCompressor none = compressor_of({.compression = Compression::kNone});
  Content content = text_like(10000);
  CHECK(compressed(none, content) == stored(none, content));
}

TEST_CASE("frame codec: what does not shrink does not grow beyond the bound") {
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression});
    for (size_t size : {size_t{1}, size_t{100}, size_t{4096}, kMax}) {
      Content frame = compressed(compressor, random_bytes(size, 3));
      CHECK(frame.size() <= FrameCompressor::bound(size));
      CHECK(frame.size() <= size + 64);
    }
  }
}

TEST_CASE("frame codec: the same content gives the same frame, whatever was before") {
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression});
    Content first = compressed(compressor, text_like(kMax));
    (void)compressed(compressor, random_bytes(77777, 4));
    CHECK(compressed(compressor, text_like(kMax)) == first);
  }
}

TEST_CASE("frame codec: a flipped bit is found") {
  Content content = text_like(3000);
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression});
    for (Content frame : {compressed(compressor, content), stored(compressor, content)}) {
      unsigned unnoticed = 0;
      Content back(content.size());
      for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
        frame[bit / 8] ^= std::byte{1} << (bit % 8);
        // Some bits of a frame's header mean nothing to a decoder; the content must then be right.
        if (decompress(compression, frame, back).ok() && back != content) ++unnoticed;
        frame[bit / 8] ^= std::byte{1} << (bit % 8);
      }
      CHECK(unnoticed == 0);
    }
  }
}

TEST_CASE("frame codec: exactly one whole frame of the size that is asked for") {
  Content content = text_like(3000);
  for (Compression compression : kFrameKinds) {
    FrameCompressor compressor = compressor_of({.compression = compression});
    for (const Content& frame : {compressed(compressor, content), stored(compressor, content)}) {
      Content back(2 * content.size());
      unsigned taken = 0;
      for (size_t cut = 0; cut < frame.size(); ++cut)
        if (decompress(compression, Bytes(frame).first(cut), std::span(back).first(content.size()))
                .ok())
          ++taken;
      CHECK(taken == 0);
      CHECK_FALSE(decompress(compression, frame, std::span(back).first(content.size() - 1)).ok());
      CHECK_FALSE(decompress(compression, frame, std::span(back).first(content.size() + 1)).ok());
      Content twice = frame;
      append(twice, frame);
      Status status = decompress(compression, twice, back);
      REQUIRE_FALSE(status.ok());
      CHECK(status.error().kind() == ErrorKind::kBadInput);
    }
  }
}

TEST_CASE("frame codec: zlib has no frames") {
  CHECK(FrameCompressor::create({.compression = Compression::kZlib}, kMax).error().kind() ==
        ErrorKind::kUsage);
  CHECK(FrameDecompressor::create(Compression::kZlib).error().kind() == ErrorKind::kUsage);
}

TEST_CASE("frame codec: the programs zstd and lz4 read our frames") {
  test::TempDir dir;
  for (Compression compression : kFrameKinds) {
    const char* program = compression == Compression::kLz4 ? "/usr/bin/lz4" : "/usr/bin/zstd";
    CAPTURE(program);
    FrameCompressor compressor = compressor_of({.compression = compression}, 3 * kMax);
    Content contents;
    Content frames;
    for (const Content& content : {text_like(3 * kMax), random_bytes(kMax, 5), text_like(1),
                                   Content(), text_like(4096), random_bytes(4096, 6)}) {
      append(contents, content);
      append(contents, content);
      append(frames, compressed(compressor, content));
      append(frames, stored(compressor, content));
    }
    test::write_file(dir / "frames", text_of_bytes(frames));
    test::Outcome tested = test::run({program, "-t", dir / "frames"});
    CHECK_MESSAGE(tested.status == 0, tested.err);
    test::Outcome decoded =
        test::run({program, "-d", "-f", dir / "frames", "-o", dir / "contents"});
    if (compression == Compression::kLz4)
      decoded = test::run({program, "-d", "-f", dir / "frames", dir / "contents"});
    CHECK_MESSAGE(decoded.status == 0, decoded.err);
    CHECK(test::read_file(dir / "contents") == text_of_bytes(contents));
  }
}

TEST_CASE("frame codec: the memory of a context is small and known") {
  size_t zstd = FrameCompressor::memory_bytes({.compression = Compression::kZstd}, kMax);
  CHECK(zstd > 0);
  CHECK(zstd <= 640 << 10);
  size_t lz4 = FrameCompressor::memory_bytes({.compression = Compression::kLz4}, kMax);
  CHECK(lz4 > 0);
  CHECK(lz4 <= 64 << 10);
  CHECK(FrameCompressor::memory_bytes({.compression = Compression::kNone}, kMax) == 0);
}
