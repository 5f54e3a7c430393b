// What every target has to do, tried on each kind of them.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/fault/target_kinds.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

Content numbered(size_t size, uint64_t seed) {
  Content content(size);
  uint32_t state = static_cast<uint32_t>(seed * 2654435761U + 1);
  for (std::byte& byte : content) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return content;
}

Content as_content(std::string_view text) {
  Bytes view = bytes(text);
  return {view.begin(), view.end()};
}

// Made once: file systems take a while.
std::vector<std::unique_ptr<TargetKind>>& kinds() {
  static std::vector<std::unique_ptr<TargetKind>> kinds = make_target_kinds();
  return kinds;
}

void for_each_kind(const std::function<bool(const TargetTraits&)>& wanted,
                   const std::function<void(TargetKind&)>& test) {
  if (!may_mount()) return;
  unsigned tried = 0;
  for (const std::unique_ptr<TargetKind>& kind : kinds()) {
    if (!wanted(kind->traits())) continue;
    ++tried;
    INFO(std::string(kind->name()));
    kind->reset();
    test(*kind);
    kind->reset();
  }
  CHECK(tried > 0);
}

bool any(const TargetTraits&) { return true; }
bool named(const TargetTraits& traits) { return traits.named; }
bool reopens(const TargetTraits& traits) { return traits.reopens; }
bool fillable(const TargetTraits& traits) { return traits.fillable; }

std::vector<std::string> names(TargetKind& kind) {
  std::vector<std::string> names;
  for (const auto& [name, content] : kind.files()) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;

// The whole dump's file.
Content read_all(Target& target) {
  Content content(target.size().value());
  REQUIRE(target.read_at(0, content).ok());
  return content;
}

Content read_all_sums(Target& target) {
  Content sums(target.sums_size().value());
  REQUIRE(target.read_sums(0, sums).ok());
  return sums;
}

Result<std::unique_ptr<Target>> reopen(TargetKind& kind) { return kind.reopen(); }

}  // namespace

TEST_CASE("target: what is written comes back, at odd offsets and sizes") {
  for_each_kind(any, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    Content expected(300000);
    REQUIRE(target->preallocate(0, expected.size()).ok());
    CHECK((read_all(*target) == expected));
    uint64_t seed = 0;
    for (size_t size : {1U, 7U, 511U, 4096U, 4097U, 65537U}) {
      for (size_t at : {0U, 1U, 4095U, 4096U, 100001U, 300000U - 65537U}) {
        Content piece = numbered(size, ++seed);
        REQUIRE(target->write_at(at, piece).ok());
        std::ranges::copy(piece, expected.begin() + static_cast<ptrdiff_t>(at));
      }
    }
    CHECK((read_all(*target) == expected));
    Content byte(1);
    CHECK(target->size().value() == expected.size());
    REQUIRE(target->write_at(expected.size() + 5000, bytes("x")).ok());
    expected.resize(expected.size() + 5000);
    expected.push_back(std::byte{'x'});
    REQUIRE(target->sync().ok());
    CHECK((read_all(*target) == expected));
  });
}

TEST_CASE("target: appended bytes and those written beside and over them") {
  for_each_kind(any, [](TargetKind& kind) {
    for (size_t begin : {0U, 1U, 4096U, 5000U}) {
      CAPTURE(begin);
      kind.reset();
      std::unique_ptr<Target> target = kind.create();
      Content expected = numbered(begin, 1);
      REQUIRE(target->write_at(0, expected).ok());
      for (unsigned i = 0; i < 40; ++i) {
        Content piece = numbered(1 + i * 7919 % 90000, i + 2);
        REQUIRE(target->append(expected.size(), piece).ok());
        expected.insert(expected.end(), piece.begin(), piece.end());
        if (i % 5 != 0) continue;
        // Synced, all of it may be written over, to its very end.
        REQUIRE(target->sync().ok());
        CHECK(target->size().value() == expected.size());
        Content patch = numbered(37, i + 100);
        for (size_t at : {size_t{0}, expected.size() / 2, expected.size() - patch.size()}) {
          if (patch.size() > expected.size()) continue;
          REQUIRE(target->write_at(at, patch).ok());
          std::ranges::copy(patch, expected.begin() + static_cast<ptrdiff_t>(at));
        }
      }
      CHECK(target->size().value() == expected.size());
      REQUIRE(target->sync().ok());
      CHECK((read_all(*target) == expected));
    }
  });
}

TEST_CASE("target: what is written behind barriers is there, and read, like all else") {
  for_each_kind(any, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    constexpr size_t kTable = 50000;
    REQUIRE(target->preallocate(0, kTable).ok());
    Content expected(kTable);
    Content expected_sums;
    for (unsigned i = 0; i < 20; ++i) {
      Content piece = numbered(1 + i * 7919 % 90000, i);
      REQUIRE(target->append(expected.size(), piece).ok());
      expected.insert(expected.end(), piece.begin(), piece.end());
      REQUIRE(target->barrier().ok());
      for (size_t at : {size_t{i} * 100, size_t{i} * 100 + 50, size_t{5000}, kTable - 50}) {
        Content entry = numbered(50, at + i);
        REQUIRE(target->write_behind(at, entry).ok());
        std::ranges::copy(entry, expected.begin() + static_cast<ptrdiff_t>(at));
      }
      Content record = numbered(100, i + 1000);
      REQUIRE(target->append_sums(record).ok());
      expected_sums.insert(expected_sums.end(), record.begin(), record.end());
      CHECK(target->sums_size().value() == expected_sums.size());
      if (i % 5 != 2) continue;
      Content table(kTable);
      REQUIRE(target->read_at(0, table).ok());
      CHECK(std::equal(table.begin(), table.end(), expected.begin()));
    }
    CHECK((read_all_sums(*target) == expected_sums));
    REQUIRE(target->sync().ok());
    CHECK((read_all(*target) == expected));
  });
}

TEST_CASE("target: sums are appended, read, cut") {
  for_each_kind(any, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    CHECK(target->sums_size().value() == 0);
    REQUIRE(target->preallocate_sums(70000).ok());
    CHECK(target->sums_size().value() == 0);
    Content expected;
    for (unsigned i = 0; i < 30; ++i) {
      Content piece = numbered(32 + i * 613 % 5000, i);
      REQUIRE(target->append_sums(piece).ok());
      expected.insert(expected.end(), piece.begin(), piece.end());
      if (i % 7 != 3) continue;
      expected.resize(expected.size() - 33);
      REQUIRE(target->cut_sums(expected.size()).ok());
      REQUIRE(target->preallocate_sums(expected.size() + 70000).ok());
    }
    CHECK((read_all_sums(*target) == expected));
    Content behind(1);
    CHECK_FALSE(target->read_sums(expected.size() + 70000, behind).ok());
    REQUIRE(target->sync().ok());
    REQUIRE(target->publish().ok());
    REQUIRE(target->cut_sums(100).ok());
    expected.resize(100);
    REQUIRE(target->sync().ok());
    REQUIRE(target->seal().ok());
    target.reset();
    if (kind.traits().named) CHECK((kind.files().at("vmcore.sums") == expected));
  });
}

TEST_CASE("target: cut, or made longer, it goes on anywhere") {
  for_each_kind(any, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    Content expected = numbered(100000, 1);
    REQUIRE(target->append(0, expected).ok());
    for (size_t length : {99999U, 65536U, 65535U, 4097U, 4096U, 4095U, 3U, 0U}) {
      CAPTURE(length);
      REQUIRE(target->truncate(length).ok());
      CHECK(target->size().value() == length);
      expected.resize(length);
      CHECK((read_all(*target) == expected));
      // Goes on at the end, or in front of it.
      size_t at = length / 2 + length % 2;
      Content piece = numbered(6000, length + 1);
      REQUIRE(target->append(at, piece).ok());
      expected.resize(std::max(length, at + piece.size()));
      std::ranges::copy(piece, expected.begin() + static_cast<ptrdiff_t>(at));
      REQUIRE(target->sync().ok());
      CHECK((read_all(*target) == expected));
    }
    REQUIRE(target->truncate(50000).ok());
    expected.resize(50000);
    REQUIRE(target->sync().ok());
    CHECK((read_all(*target) == expected));
  });
}

TEST_CASE("target: staged, published, sealed: what is seen at each step") {
  for_each_kind(named, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    CHECK(names(kind) == Names{"vmcore.new"});
    REQUIRE(target->append(0, bytes("dump")).ok());
    REQUIRE(target->sync().ok());
    CHECK(names(kind) == Names{"vmcore.new"});
    REQUIRE(target->publish().ok());
    CHECK(names(kind) == Names{"vmcore.incomplete"});
    REQUIRE(target->put_file("report", bytes("saving")).ok());
    REQUIRE(target->append_sums(bytes("sums")).ok());
    CHECK(names(kind) == Names{"report", "vmcore.incomplete", "vmcore.sums"});
    REQUIRE(target->sync().ok());
    REQUIRE(target->seal().ok());
    REQUIRE(target->put_file("report", bytes("sealed")).ok());
    target.reset();
    CHECK(names(kind) == Names{"report", "vmcore", "vmcore.sums"});
    CHECK((kind.files().at("vmcore") == as_content("dump")));
    CHECK((kind.files().at("report") == as_content("sealed")));
  });
}

TEST_CASE("target: nothing that stands there is written over") {
  for_each_kind(named, [](TargetKind& kind) {
    for (const char* there : {"vmcore.incomplete", "vmcore"}) {
      CAPTURE(there);
      kind.reset();
      std::unique_ptr<Target> target = kind.create();
      if (there == std::string("vmcore")) REQUIRE(target->publish().ok());
      kind.place(there, "precious");
      Status renamed = there == std::string("vmcore") ? target->seal() : target->publish();
      REQUIRE_FALSE(renamed.ok());
      target.reset();
      CHECK((kind.files().at(there) == as_content("precious")));
      CHECK_FALSE(kind.files().contains("vmcore.new"));
    }
  });
}

TEST_CASE("target: a small file is replaced by a shorter or longer one") {
  for_each_kind(named, [](TargetKind& kind) {
    for (bool reserved : {false, true}) {
      CAPTURE(reserved);
      kind.reset();
      std::unique_ptr<Target> target = kind.create();
      if (reserved) REQUIRE(target->reserve_file("report", 5000).ok());
      REQUIRE(target->publish().ok());
      for (size_t size : {100U, 5000U, 0U, 4096U, 9000U, 1U}) {
        Content content = numbered(size, size);
        REQUIRE(target->put_file("report", content).ok());
        CHECK((kind.files().at("report") == content));
      }
      target.reset();
      CHECK(names(kind) == Names{"report", "vmcore.incomplete"});
    }
  });
}

TEST_CASE(
    "target: what stays of a target that was not finished, and whether it can be gone on with") {
  for_each_kind(reopens, [](TargetKind& kind) {
    kind.create();
    CHECK(names(kind).empty());
    CHECK_FALSE(reopen(kind).ok());
    CHECK(kind.create()->append_sums(bytes("sums")).ok());
    CHECK(names(kind).empty());
    {
      std::unique_ptr<Target> target = kind.create();
      REQUIRE(target->reserve_file("report", 100).ok());
      REQUIRE(target->append(0, bytes("dump")).ok());
      REQUIRE(target->append_sums(bytes("sums")).ok());
      REQUIRE(target->sync().ok());
      REQUIRE(target->publish().ok());
    }
    CHECK(names(kind) == Names{"vmcore.incomplete", "vmcore.sums"});
    {
      std::unique_ptr<Target> target = std::move(reopen(kind).value());
      CHECK((read_all(*target) == as_content("dump")));
      CHECK((read_all_sums(*target) == as_content("sums")));
      REQUIRE(target->sync().ok());
      REQUIRE(target->seal().ok());
    }
    CHECK(names(kind) == Names{"vmcore", "vmcore.sums"});
    CHECK_FALSE(reopen(kind).ok());
  });
}

namespace {

constexpr size_t kHead = 10000;  // what is preallocated in front, and written at last
constexpr unsigned kPieces = 12;
constexpr size_t kRecord = 8;

// Writes pieces from `first` on; a sync and a record of the end vouch for each. Stops before the
// step with number `stop`, synced or not. Returns whether it came to the end.
bool save(Target& target, unsigned first, uint64_t end, unsigned stop) {
  unsigned step = 0;
  for (unsigned i = first; i < kPieces; ++i) {
    Content piece = numbered(1 + i * 50021 % 70000, i);
    if (step++ == stop) return false;
    REQUIRE(target.append(end, piece).ok());
    end += piece.size();
    if (step++ == stop) return false;
    REQUIRE(target.sync().ok());
    if (step++ == stop) return false;
    REQUIRE(target.append_sums(std::as_bytes(std::span(&end, 1))).ok());
    if (step++ == stop) return false;
    REQUIRE(target.sync().ok());
  }
  REQUIRE(target.write_at(0, numbered(kHead, 99)).ok());
  REQUIRE(target.truncate(end).ok());
  REQUIRE(target.sync().ok());
  REQUIRE(target.seal().ok());
  return true;
}

std::unique_ptr<Target> begin_dump(TargetKind& kind) {
  std::unique_ptr<Target> target = kind.create();
  REQUIRE(target->preallocate(0, kHead).ok());
  REQUIRE(target->preallocate_sums(kPieces * kRecord).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->publish().ok());
  return target;
}

// Goes on behind the last record that is whole, as a resumed capture does.
void go_on(TargetKind& kind, unsigned stop) {
  std::unique_ptr<Target> target = std::move(kind.reopen().value());
  Content sums = read_all_sums(*target);
  uint64_t end = kHead;
  unsigned vouched = 0;
  for (; (vouched + 1) * kRecord <= sums.size() && vouched < kPieces; ++vouched) {
    uint64_t next = 0;
    std::memcpy(&next, sums.data() + vouched * kRecord, kRecord);
    if (next <= end) break;  // zeros
    end = next;
    Content piece = numbered(1 + vouched * 50021 % 70000, vouched);
    REQUIRE(target->size().value() >= end);
    Content there(piece.size());
    REQUIRE(target->read_at(end - piece.size(), there).ok());
    CHECK((there == piece));
  }
  REQUIRE(target->cut_sums(vouched * kRecord).ok());
  REQUIRE(target->preallocate_sums(kPieces * kRecord).ok());
  save(*target, vouched, end, stop);
}

}  // namespace

TEST_CASE("target: stopped at any step, again and again, and gone on with: the same bytes") {
  for_each_kind(reopens, [](TargetKind& kind) {
    constexpr unsigned kNever = ~0U;
    REQUIRE(save(*begin_dump(kind), 0, kHead, kNever));
    std::map<std::string, Content> expected = kind.files();
    for (unsigned stop = 0; stop < kPieces * 4; stop += 3) {
      CAPTURE(stop);
      kind.reset();
      REQUIRE_FALSE(save(*begin_dump(kind), 0, kHead, stop));
      for (unsigned again : {5U, 2U, 9U, kNever})
        if (!kind.files().contains("vmcore")) go_on(kind, again);
      CHECK((kind.files() == expected));
    }
  });
}

TEST_CASE("target: on a full disk what room was made for is written, the rest is refused") {
  for_each_kind(fillable, [](TargetKind& kind) {
    std::unique_ptr<Target> target = kind.create();
    constexpr size_t kTable = 1 << 20;
    constexpr size_t kSums = 50000;
    constexpr size_t kReport = 9000;
    REQUIRE(target->preallocate(0, kTable).ok());
    REQUIRE(target->preallocate_sums(kSums).ok());
    REQUIRE(target->reserve_file("report", kReport).ok());
    REQUIRE(target->sync().ok());
    REQUIRE(target->publish().ok());
    Content expected(kTable);
    Content piece = numbered(30000, 1);
    REQUIRE(target->append(kTable, piece).ok());
    expected.insert(expected.end(), piece.begin(), piece.end());
    REQUIRE(target->sync().ok());
    kind.fill();

    for (uint64_t more : {uint64_t{1} << 30, uint64_t{1} << 26}) {
      Status refused = target->preallocate(uint64_t{1} << 31, more);
      REQUIRE_FALSE(refused.ok());
      CHECK(refused.error().kind() == ErrorKind::kNoSpace);
      CHECK(contains(text_of(refused), "; free some space there"));
    }
    CHECK(target->truncate(expected.size()).ok());
    CHECK(target->preallocate_sums(1 << 29).error().kind() == ErrorKind::kNoSpace);
    CHECK(target->reserve_file("other", 1 << 29).error().kind() == ErrorKind::kNoSpace);

    Status full;
    while (full.ok() && expected.size() < size_t{1} << 28) {
      piece = numbered(30000, expected.size());
      full = target->append(expected.size(), piece);
      if (full.ok()) expected.insert(expected.end(), piece.begin(), piece.end());
    }
    REQUIRE_FALSE(full.ok());
    CHECK(full.error().kind() == ErrorKind::kNoSpace);
    CHECK(contains(text_of(full), "; free some space there"));
    kind.fill();
    REQUIRE(target->sync().ok());
    Content table = numbered(kTable, 2);
    REQUIRE(target->write_at(0, table).ok());
    std::ranges::copy(table, expected.begin());
    Content sums = numbered(kSums, 3);
    REQUIRE(target->append_sums(sums).ok());
    REQUIRE(target->sync().ok());
    for (size_t size : {kReport, size_t{1}, kReport / 2, kReport}) {
      CAPTURE(size);
      Content report = numbered(size, size + 4);
      Status put = target->put_file("report", report);
      CHECK_MESSAGE(put.ok(), text_of(put));
      CHECK((kind.files().at("report") == report));
    }
    Content back(expected.size());
    REQUIRE(target->read_at(0, back).ok());
    CHECK((back == expected));
    CHECK((read_all_sums(*target) == sums));

    kind.make_room();
    piece = numbered(3 << 20, 9);
    Status more = target->append(expected.size(), piece);
    REQUIRE_MESSAGE(more.ok(), text_of(more));
    expected.insert(expected.end(), piece.begin(), piece.end());
    REQUIRE(target->truncate(expected.size()).ok());
    REQUIRE(target->sync().ok());
    REQUIRE(target->seal().ok());
    target.reset();
    CHECK((kind.files().at("vmcore") == expected));
    CHECK((kind.files().at("vmcore.sums") == sums));
    CHECK(names(kind) == Names{"report", "vmcore", "vmcore.sums"});
  });
}
