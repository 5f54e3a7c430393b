#include "capture/format/flattened_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "capture/format/flattened_format.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

Content numbered(size_t size) {
  Content content(size);
  for (size_t i = 0; i < size; ++i) content[i] = static_cast<std::byte>((i * 14 + i / 256) | 1);
  return content;
}

std::unique_ptr<FlattenedFile> open(const Content& file) {
  auto opened = FlattenedFile::open(memory_file(file));
  REQUIRE_MESSAGE(opened.ok(), text_of(opened));
  return std::move(*opened);
}

std::string open_error(const Content& file) {
  return text_of(FlattenedFile::open(memory_file(file)));
}

Content read_all(const FlattenedFile& file, size_t piece) {
  std::unique_ptr<ByteReader> reader = std::move(file.open_reader().value());
  Content content(file.size());
  for (size_t at = 0; at < content.size(); at += piece)
    REQUIRE(reader
                ->read_exact(
                    MutableBytes(content).subspan(at, std::min(piece, content.size() - at)), at)
                .ok());
  std::byte more{};
  CHECK(reader->read_up_to(MutableBytes(&more, 1), file.size()).value() == 0);
  return content;
}

constexpr size_t kFirst = kFlattenedHeaderBytes;

}  // namespace

TEST_CASE("flattened: records in any order give the file that is meant") {
  Content content = numbered(10000);
  std::vector<RecordSpec> records = even_records(content.size(), 512);
  for (int round = 0; round < 3; ++round) {
    if (round == 1) std::ranges::reverse(records);
    if (round == 2) std::rotate(records.begin(), records.begin() + 7, records.end());
    std::unique_ptr<FlattenedFile> file = open(build_flattened(content, records));
    CHECK(file->ending() == Ending::kUnsaid);
    CHECK_FALSE(file->cut_at());
    for (size_t piece : {1, 511, 512, 513, 10000}) CHECK(read_all(*file, piece) == content);
  }
}

TEST_CASE("flattened: records that follow each other take no room of their own") {
  Content content = numbered(1 << 20);
  size_t one = open(build_flattened(content, {{0, content.size()}}))->index_bytes();
  CHECK(open(build_flattened(content, even_records(content.size(), 64)))->index_bytes() <= 2 * one);
}

TEST_CASE("flattened: a record that comes later wins, whole or in part") {
  // The reference is what makedumpfile -R does: write one after the other.
  Content content = numbered(4096);
  Content other(content.rbegin(), content.rend());
  std::vector<std::vector<RecordSpec>> orders = {
      {{0, 4096}, {0, 464}},    {{0, 464}, {0, 4096}},
      {{0, 4096}, {1000, 10}},  {{0, 4096}, {4000, 96}},
      {{1000, 10}, {0, 4096}},  {{0, 1000}, {500, 1000}, {2000, 96}},
      {{500, 1000}, {0, 1000}}, {{0, 300}, {100, 300}, {50, 100}, {0, 60}, {4095, 1}},
  };
  for (size_t size : {64, 100, 1000})
    for (size_t from : {0, 50, 64, 130, 999}) {
      std::vector<RecordSpec> records = even_records(4096, size);
      records.push_back({.offset = from, .size = 700});
      orders.push_back(records);
      std::rotate(records.begin(), records.end() - 1, records.end());
      orders.push_back(records);
    }
  for (const std::vector<RecordSpec>& records : orders) {
    // Each record's bytes tell which one it was.
    Content file = build_flattened(content, records);
    Content expected;
    size_t at = kFirst;
    for (size_t i = 0; i < records.size(); ++i) {
      const RecordSpec& record = records[i];
      at += sizeof(FlattenedRecord);
      std::fill_n(file.begin() + static_cast<ptrdiff_t>(at), record.size,
                  static_cast<std::byte>(i + 1));
      expected.resize(std::max(expected.size(), record.offset + record.size));
      std::fill_n(expected.begin() + static_cast<ptrdiff_t>(record.offset), record.size,
                  static_cast<std::byte>(i + 1));
      at += record.size;
    }
    CHECK(read_all(*open(file), 333) == expected);
  }
}

TEST_CASE("flattened: what no record has reads as zeros; of a cut file it is not covered") {
  Content content = numbered(3000);
  std::vector<RecordSpec> records = {{0, 1000}, {2000, 1000}};
  Content expected = content;
  std::fill_n(expected.begin() + 1000, 1000, std::byte{0});
  std::unique_ptr<FlattenedFile> whole = open(build_flattened(content, records));
  CHECK(read_all(*whole, 4096) == expected);
  CHECK(whole->covers(900, 1200));
  CHECK_FALSE(whole->covers(2999, 2));
  std::unique_ptr<FlattenedFile> cut = open(build_flattened(content, records, false));
  CHECK(read_all(*cut, 4096) == expected);
  CHECK(cut->ending() == Ending::kCut);
  CHECK(cut->covers(0, 1000));
  CHECK(cut->covers(2000, 1000));
  for (auto [offset, length] : {std::pair{900U, 101U}, {1000, 1}, {1999, 1}, {1999, 10}})
    CHECK_FALSE(cut->covers(offset, length));
}

TEST_CASE("flattened: a cut is found wherever it is") {
  Content content = numbered(300);
  Content file = build_flattened(content, even_records(300, 100));
  for (size_t size = kFirst; size < file.size(); ++size) {
    CAPTURE(size);
    std::unique_ptr<FlattenedFile> cut =
        open({file.begin(), file.begin() + static_cast<ptrdiff_t>(size)});
    CHECK(cut->ending() == Ending::kCut);
    REQUIRE(cut->cut_at());
    size_t record = (size - kFirst) / 116;
    CHECK(*cut->cut_at() == kFirst + record * 116);
    size_t inside = std::max<size_t>((size - kFirst) % 116, 16) - 16;
    CHECK(cut->size() == std::min<size_t>(300, record * 100 + inside));
    CHECK(std::ranges::equal(read_all(*cut, 64), Bytes(content).first(cut->size())));
  }
  // A disk that lost power may have zeros there.
  file.resize(file.size() - 16);
  file.resize(file.size() + 5000);
  CHECK(open(file)->cut_at() == kFirst + 3 * 116);
}

TEST_CASE("flattened: records that make no sense are errors with their offset") {
  Content content = numbered(300);
  const Content file = build_flattened(content, even_records(300, 100));
  auto with = [&](size_t at, int64_t value) {
    Content changed = file;
    store(changed, at, value);
    return changed;
  };
  for (int64_t lie : {int64_t{-2}, int64_t{-1}, std::numeric_limits<int64_t>::max()})
    CHECK(contains(open_error(with(kFirst + 116, big_endian(lie))),
                   "a record of the flattened file is damaged at offset 0x1074"));
  for (int64_t lie : {int64_t{-2}, int64_t{-1}, int64_t{0}})
    CHECK(contains(open_error(with(kFirst + 124, big_endian(lie))), "at offset 0x1074"));
  CHECK(contains(open_error(with(16, big_endian(2))), "of another version"));
  CHECK(contains(open_error(with(24, big_endian(2))), "of another version"));
  CHECK(contains(open_error({file.begin(), file.begin() + 100}), "too short for a flattened file"));
  // A length that leads out of the file is a cut.
  CHECK(open(with(kFirst + 124, big_endian(int64_t{1} << 40)))->cut_at() == kFirst + 116);
}

TEST_CASE("flattened: a place in the file is told for every byte") {
  Content content = numbered(300);
  std::unique_ptr<FlattenedFile> file = open(build_flattened(content, {{200, 100}, {0, 100}}));
  CHECK(file->file_offset(250) == kFirst + 16 + 50);
  CHECK(file->file_offset(0) == kFirst + 16 + 100 + 16);
  CHECK(file->file_offset(150) == 0);
}
