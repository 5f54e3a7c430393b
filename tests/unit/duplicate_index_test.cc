#include "capture/pipeline/duplicate_index.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <vector>

#include "capture/base/thread.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr uint64_t kDistance = DuplicateIndex::kDistance;
constexpr uint64_t kReach = DuplicateIndex::kReach;
constexpr uint64_t kBatchEntries = DuplicateIndex::kBatchEntries;

DuplicateIndex create() { return std::move(DuplicateIndex::create().value()); }

// Another bucket for each `i`.
PageHash hash_number(uint64_t i) { return {.low = i * 0x9e3779b97f4a7c15, .high = i}; }
// All in one bucket.
PageHash crowded_hash(uint64_t i) { return {.low = 0x7777, .high = i}; }

// Where it was found; 0 if it was not.
uint64_t found(const DuplicateIndex& index, uint64_t sequence, const PageHash& hash) {
  auto place = index.find(sequence, hash);
  return place ? place->where : 0;
}

}  // namespace

TEST_CASE("duplicate_index: a page is seen from 32 to 255 batches on, and not before or after") {
  DuplicateIndex index = create();
  PageHash hash{.low = 7, .high = 9};
  for (uint64_t sequence = 0; sequence < 1500; ++sequence) {
    CAPTURE(sequence);
    bool expected = (sequence >= 100 + kDistance && sequence <= 100 + kReach) ||
                    (sequence >= 1000 + kDistance && sequence <= 1000 + kReach);
    auto place = index.find(sequence, hash);
    CHECK(place.has_value() == expected);
    if (place) CHECK((place->where == 4096 && place->size == 77));
    if (sequence == 100 || sequence == 1000) index.add(sequence, hash, {.where = 4096, .size = 77});
    index.end_batch(sequence);
  }
}

TEST_CASE("duplicate_index: both halves of the hash count") {
  DuplicateIndex index = create();
  index.add(0, {.low = 7, .high = 9}, {.where = 1, .size = 1});
  index.end_batch(0);
  CHECK(index.find(kDistance, {.low = 7, .high = 9}).has_value());
  CHECK_FALSE(index.find(kDistance, {.low = 7, .high = 8}).has_value());
  CHECK_FALSE(index.find(kDistance, {.low = 7 + (uint64_t{1} << 40), .high = 9}).has_value());
}

TEST_CASE("duplicate_index: of those that can be seen, the one added last") {
  DuplicateIndex index = create();
  PageHash hash{.low = 7, .high = 9};
  for (uint64_t sequence = 0; sequence < 400; ++sequence) {
    CAPTURE(sequence);
    uint64_t expected = 0;
    for (uint64_t added : {1, 10, 50})
      if (sequence >= added + kDistance && sequence <= added + kReach) expected = added;
    CHECK(found(index, sequence, hash) == expected);
    if (sequence == 1 || sequence == 10 || sequence == 50)
      index.add(sequence, hash, {.where = sequence, .size = 1});
    index.end_batch(sequence);
  }
}

TEST_CASE("duplicate_index: with full batches, all that can be seen is found, and nothing else") {
  DuplicateIndex index = create();
  auto number = [](uint64_t sequence, uint64_t i) { return 1 + sequence * kBatchEntries + i; };
  for (uint64_t sequence = 0; sequence < 3 * kReach; ++sequence) {
    for (uint64_t i = 0; i < kBatchEntries; ++i)
      index.add(sequence, hash_number(number(sequence, i)),
                {.where = number(sequence, i), .size = 1});
    index.end_batch(sequence);
    uint64_t next = sequence + 1;
    uint64_t wrong = 0;
    for (uint64_t other = 0; other < next; other += next % 97 == 0 ? 1 : 31) {
      bool visible = next - other >= kDistance && next - other <= kReach;
      for (uint64_t i = 0; i < kBatchEntries; i += 15) {
        uint64_t expected = visible ? number(other, i) : 0;
        if (found(index, next, hash_number(number(other, i))) != expected) ++wrong;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("duplicate_index: a crowded bucket is searched up to a limit") {
  DuplicateIndex index = create();
  constexpr uint64_t kMany = 200;
  for (uint64_t i = 0; i < kMany; ++i) index.add(5, crowded_hash(i), {.where = 1 + i, .size = 1});
  index.end_batch(5);
  for (uint64_t sequence = 6; sequence < 5 + kDistance; ++sequence) {
    index.add(sequence, crowded_hash(kMany + sequence), {.where = 999, .size = 1});
    index.end_batch(sequence);
  }
  // Those of the last batches are too new for this one, and do not count.
  for (uint64_t i = 0; i < kMany; ++i) {
    bool within = i >= kMany - DuplicateIndex::kMaxSeen;
    CHECK(found(index, 5 + kDistance, crowded_hash(i)) == (within ? 1 + i : 0));
  }
}

namespace {

struct Page {
  PageHash hash;
  uint64_t where;
};
using Schedule = std::vector<std::vector<Page>>;  // of each batch

// Pages that come once, some that come often, and many that share one bucket; batches of any size.
Schedule random_schedule(uint64_t batches, uint64_t seed) {
  std::mt19937_64 random(seed);
  Schedule schedule(batches);
  uint64_t where = 0;
  for (std::vector<Page>& batch : schedule) {
    uint64_t size = random() % 4 == 0 ? kBatchEntries : random() % kBatchEntries;
    if (random() % 16 == 0) size = 0;
    for (uint64_t i = 0; i < size; ++i) {
      uint64_t kind = random() % 100;
      PageHash hash = kind < 2    ? crowded_hash(random() % 60)
                      : kind < 40 ? hash_number(random() % 20000)
                                  : hash_number(random());
      batch.push_back({.hash = hash, .where = ++where});
    }
  }
  return schedule;
}

void add_batch(DuplicateIndex& index, const Schedule& schedule, uint64_t sequence) {
  for (const Page& page : schedule[sequence])
    index.add(sequence, page.hash, {.where = page.where, .size = 1});
  index.end_batch(sequence);
}

// What each page of the batch finds, and each that might be in the crowded bucket.
std::vector<uint64_t> answers(const DuplicateIndex& index, const Schedule& schedule,
                              uint64_t sequence) {
  std::vector<uint64_t> all;
  for (const Page& page : schedule[sequence]) all.push_back(found(index, sequence, page.hash));
  for (uint64_t i = 0; i < 60; ++i) all.push_back(found(index, sequence, crowded_hash(i)));
  return all;
}

using Answers = std::vector<std::vector<uint64_t>>;  // to each batch

// With every batch before it in the index.
Answers all_answers(const Schedule& schedule) {
  DuplicateIndex index = create();
  Answers all;
  for (uint64_t sequence = 0; sequence < schedule.size(); ++sequence) {
    all.push_back(answers(index, schedule, sequence));
    add_batch(index, schedule, sequence);
  }
  return all;
}

// What is fewer than this many batches back is in the index, or not.
constexpr uint64_t kLags[] = {0, 1, kDistance - 1};

}  // namespace

TEST_CASE("duplicate_index: the last batches give the same answers as all of them") {
  constexpr uint64_t kBatches = 700;
  for (uint64_t seed : {1, 2}) {
    Schedule schedule = random_schedule(kBatches, seed);
    Answers expected = all_answers(schedule);
    size_t shared = 0;
    for (const auto& batch : expected)
      shared += batch.size() - static_cast<size_t>(std::ranges::count(batch, 0));
    CHECK(shared > 10 * kBatches);
    std::vector<uint64_t> begins = {1, 31, 32, 254, 255, 256, 257, 300, 511, 512, 513, 699};
    for (size_t i = seed % 2; i < begins.size(); i += kThinning) {
      uint64_t first = begins[i];
      uint64_t lag = kLags[(i + seed) % std::size(kLags)];
      CAPTURE(first);
      CAPTURE(lag);
      DuplicateIndex index = create();
      uint64_t added = DuplicateIndex::first_visible(first);
      uint64_t wrong = 0;
      for (uint64_t sequence = first; sequence < kBatches; ++sequence) {
        while (added + lag < sequence) add_batch(index, schedule, added++);
        if (answers(index, schedule, sequence) != expected[sequence]) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

namespace {

// As the pipeline does it: workers claim batches in order, at most kDistance - 1 ahead of the one
// that is added next, and it is added when it was worked on.
struct Race {
  explicit Race(const Schedule& schedule_in)
      : schedule(schedule_in), given(schedule.size()), done(schedule.size()) {}

  static void work(void* race) { static_cast<Race*>(race)->answer_all(); }

  void answer_all() {
    for (uint64_t sequence = claimed++; sequence < schedule.size(); sequence = claimed++) {
      while (sequence >= ended.load(std::memory_order_acquire) + kDistance) ::sched_yield();
      given[sequence] = answers(index, schedule, sequence);
      done[sequence].store(true, std::memory_order_release);
    }
  }

  void add_all() {
    for (uint64_t sequence = 0; sequence < schedule.size(); ++sequence) {
      while (!done[sequence].load(std::memory_order_acquire)) ::sched_yield();
      add_batch(index, schedule, sequence);
      ended.store(sequence + 1, std::memory_order_release);
    }
  }

  const Schedule& schedule;
  DuplicateIndex index = create();
  Answers given;
  std::vector<std::atomic<bool>> done;
  std::atomic<uint64_t> claimed{0};
  std::atomic<uint64_t> ended{0};
};

}  // namespace

TEST_CASE("duplicate_index: the same answers on any number of threads, while pages are added") {
  TimeLimit limit(300);
  Schedule schedule = random_schedule(600, 3);
  Answers expected = all_answers(schedule);
  for (unsigned threads : {1, 2, 8}) {
    CAPTURE(threads);
    Race race(schedule);
    std::vector<Thread> workers;
    for (unsigned i = 0; i < threads; ++i)
      workers.push_back(std::move(Thread::start(Race::work, &race).value()));
    race.add_all();
    for (Thread& worker : workers) worker.join();
    CHECK((race.given == expected));
  }
}

TEST_CASE("duplicate_index: the seed changes every hash") {
  std::vector<std::byte> page(4096, std::byte{3});
  CHECK(hash_of(page, 1) == hash_of(page, 1));
  CHECK_FALSE(hash_of(page, 1) == hash_of(page, 2));
  std::vector<std::byte> other = page;
  other[4095] = std::byte{4};
  CHECK_FALSE(hash_of(page, 1) == hash_of(other, 1));
  CHECK(hash_seed_of(page) != hash_seed_of(other));
}
