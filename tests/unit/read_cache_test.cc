#include "capture/target/server/read_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <vector>

using namespace dw;

namespace {

using Content = std::vector<std::byte>;

Content random_content(size_t size) {
  std::mt19937 random(7);
  Content content(size);
  for (std::byte& byte : content) byte = static_cast<std::byte>(random());
  return content;
}

struct File {
  explicit File(size_t size) : content(random_content(size)) {}

  Status read(ReadCache& cache, uint64_t offset, MutableBytes into) {
    return cache.read(offset, into, content.size(), [&](uint64_t at, MutableBytes piece) {
      ++fetches;
      REQUIRE(at + piece.size() <= content.size());
      std::copy_n(content.begin() + static_cast<ptrdiff_t>(at), piece.size(), piece.begin());
      return fails ? Status(Error::from_errno("cannot read", EIO)) : Status();
    });
  }
  void check(ReadCache& cache, uint64_t offset, size_t size) {
    Content into(size);
    REQUIRE(read(cache, offset, into).ok());
    REQUIRE(std::equal(into.begin(), into.end(), content.begin() + static_cast<ptrdiff_t>(offset)));
  }
  void write(ReadCache& cache, uint64_t offset, Bytes bytes) {
    std::ranges::copy(bytes, content.begin() + static_cast<ptrdiff_t>(offset));
    cache.overwrite(offset, bytes);
  }

  Content content;
  unsigned fetches = 0;
  bool fails = false;
};

constexpr size_t kAhead = 2 << 20;

}  // namespace

TEST_CASE("read cache: any reads and writes, in any order") {
  std::mt19937 random(3);
  File file(5 << 20);
  ReadCache cache = std::move(ReadCache::create(1 << 20).value());
  uint64_t next = 0;
  for (int i = 0; i < 5000; ++i) {
    size_t size = 1 + random() % (random() % 4 == 0 ? 200000 : 3000);
    uint64_t at = random() % 3 == 0 ? next : random() % file.content.size();
    at = std::min<uint64_t>(at, file.content.size() - size);
    if (random() % 3 == 0)
      file.write(cache, at, random_content(size));
    else
      file.check(cache, at, size);
    next = at + size;
    if (i % 1000 == 999) cache.forget();
  }
}

TEST_CASE("read cache: a bitmap that is read bit by bit costs a read for each block of it") {
  File file(1 << 20);
  ReadCache cache = std::move(ReadCache::create(kAhead).value());
  // By two who are at different places.
  for (size_t at = 0; at < file.content.size() / 2; at += 32) {
    file.check(cache, at, 32);
    file.check(cache, at + file.content.size() / 2, 32);
  }
  CHECK(file.fetches == 16);
}

TEST_CASE("read cache: what is written where it was read needs no other read") {
  File file(300 << 10);
  ReadCache cache = std::move(ReadCache::create(kAhead).value());
  Content erased(6 << 10);
  for (size_t at = 0; at + erased.size() <= file.content.size(); at += erased.size()) {
    file.check(cache, at, erased.size());
    file.write(cache, at, erased);
  }
  CHECK(file.fetches == 5);
}

TEST_CASE("read cache: reads that follow each other are read ahead") {
  File file(100 << 20);
  ReadCache cache = std::move(ReadCache::create(kAhead).value());
  // Each may begin a little before the end of the one before.
  for (size_t at = 0; at + (64 << 10) <= file.content.size(); at += (64 << 10) - at % 1000)
    file.check(cache, at, 64 << 10);
  CHECK(file.fetches < 60);
  // Others bring what is asked for.
  unsigned before = file.fetches;
  for (size_t at : {60 << 20, 40 << 20, 20 << 20}) file.check(cache, at, 64 << 10);
  CHECK(file.fetches == before + 3);
}

TEST_CASE("read cache: what could not be read is not there") {
  File file(1 << 20);
  ReadCache cache = std::move(ReadCache::create(kAhead).value());
  Content into(100 << 10);
  for (size_t size : {size_t{32}, into.size()}) {
    file.fails = true;
    CHECK_FALSE(file.read(cache, 5000, std::span(into).first(size)).ok());
    file.fails = false;
    file.check(cache, 5000, size);
    file.check(cache, 5000 + size, size);
  }
}
