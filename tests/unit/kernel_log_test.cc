// The kernel's log, from memory as printk() leaves it, and damaged in every way.
#include "capture/kernel/log/kernel_log.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/golden/judged_vmcore.h"
#include "tests/unit/support/log_model.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::golden;
using namespace dw::test;

namespace {

constexpr const char* kDamaged = "dumpwright: the log is damaged in ";

struct Log {
  Result<KernelLogSummary> result;
  std::string text;
};

Log read_log(const VmcoreBuilder& vmcore) {
  JudgedVmcore judged(vmcore);
  std::string text;
  auto sink = [&](Bytes piece) -> Status {
    CHECK(piece.size() <= 8192);
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return {};
  };
  Result<KernelLogSummary> result = write_kernel_log(judged.vmcore(), sink);
  if (result.ok()) CHECK(result->bytes == text.size());
  return {result, text};
}

template <typename Model>
Log read_model(const Model& model) {
  KernelBuilder builder({});
  model.store(builder);
  return read_log(builder.build());
}

std::string letters(size_t size, unsigned seed) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>('a' + (i * 7 + seed) % 26);
  return text;
}

// Some of several lines, and some without text.
template <typename Model>
void add_many(Model& model, unsigned count, size_t most) {
  std::mt19937 random(count);
  for (unsigned i = 0; i < count; ++i) {
    std::string text = letters(random() % most, i);
    if (text.size() > 9 && i % 5 == 0) text[text.size() / 2] = '\n';
    model.add(
        {.time_ns = i * 123456789ull, .caller_id = i % 3 == 0 ? 0x80000000 + i : i, .text = text});
  }
}

RingModel three_records() {
  RingModel ring(4, 10);
  ring.add({1'234'567'891, 7, "first"});
  ring.add({2'000'000'000, 8, "second"});
  ring.add({3'000'000'000, 9, "third"});
  return ring;
}

const std::string kFirst = "[    1.234567] [      T7] first\n";
const std::string kSecond = "[    2.000000] [      T8] second\n";
const std::string kThird = "[    3.000000] [      T9] third\n";

}  // namespace

TEST_CASE("kernel log: times, callers, lines, and bytes that cannot be printed") {
  RingModel ring(4, 12);
  ring.add({1'234'567'891, 0x80000003, "plain"});
  ring.add({123456'000'999'999, 4194304, "two\nlines, a\ttab\n"});
  ring.add({0, 1, std::string("esc \x1b[0m nul \0 del \x7f utf8 \xc3\xa9", 28)});
  ring.add({18446744073'709551615u, 0xffffffff, "late"});
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.result->records == 4);
  CHECK(log.result->damaged == 0);
  CHECK(log.text ==
        "[    1.234567] [      C3] plain\n"
        "[123456.000999] [T4194304] two\n"
        "                           lines, a\ttab\n"
        "                           \n"
        "[    0.000000] [      T1] esc \\x1b[0m nul \\x00 del \\x7f utf8 \\xffffffc3\\xffffffa9\n"
        "[18446744073.709551] [C2147483647] late\n");
}

TEST_CASE("kernel log: rings that wrapped, of kernels before and after texts may end at the end") {
  for (bool fills_to_end : {false, true}) {
    RingModel ring(7, 12, fills_to_end);
    for (unsigned rounds = 0; rounds < 40; ++rounds) {
      add_many(ring, 50 + rounds, 90);
      Log log = read_model(ring);
      REQUIRE(log.result.ok());
      CHECK(log.text == ring.text());
      CHECK(log.result->damaged == 0);
    }
    CHECK(ring.texts_at_begin > 10);
    CHECK((ring.texts_to_end > 0) == fills_to_end);
  }
}

TEST_CASE("kernel log: more descriptors than are read at once, and a text of many pieces") {
  RingModel ring(11, 17);
  add_many(ring, 2500, 40);
  ring.add({5, 6, letters(40000, 1)});
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.result->records > 1000);
  CHECK(log.text == ring.text());
}

TEST_CASE("kernel log: a record that is being written, reused, or another's is left out") {
  for (RingModel::State state : {RingModel::kReserved, RingModel::kReusable}) {
    RingModel ring = three_records();
    ring.set_state(ring.tail_id + 1, state);
    Log log = read_model(ring);
    REQUIRE(log.result.ok());
    CHECK(log.text == kFirst + kThird);
    CHECK(log.result->damaged == 0);
  }
  RingModel ring = three_records();
  ring.descriptor(ring.tail_id + 1).state_and_id += 16;
  CHECK(read_model(ring).text == kFirst + kThird);
  ring = three_records();
  ring.set_state(ring.tail_id + 1, RingModel::kCommitted);
  CHECK(read_model(ring).text == kFirst + kSecond + kThird);
}

TEST_CASE("kernel log: a text longer than its block is cut where the block ends") {
  RingModel ring = three_records();
  ring.set_text_length(ring.tail_id + 2, 65535);
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.text == kFirst + kSecond + "[    3.000000] [      T9] third\\x00\\x00\\x00\n");
  ring.set_text_length(ring.tail_id + 2, 0);
  CHECK(read_model(ring).text == kFirst + kSecond + "[    3.000000] [      T9] \n");
}

TEST_CASE("kernel log: hostile positions cost their record, and the text says so") {
  RingModel ring = three_records();
  RingModel::Descriptor& second = ring.descriptor(ring.tail_id + 1);
  second.begin = 1024 + 40;
  second.next = 1024 + 44;  // no room for an id
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.result->damaged == 1);
  CHECK(log.text == kFirst + kThird + kDamaged + "1 places: records are missing\n");
  // All say that they have nearly all of the ring: it cannot be printed again and again.
  ring = three_records();
  for (unsigned i = 0; i < 3; ++i) {
    ring.descriptor(ring.tail_id + i).begin = 8;
    ring.descriptor(ring.tail_id + i).next = 1016;
    ring.set_text_length(ring.tail_id + i, 1000);
  }
  log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.result->records == 1);
  CHECK(log.result->damaged == 2);
}

TEST_CASE("kernel log: ids too far apart for the ring leave the newest records") {
  RingModel ring = three_records();
  ring.tail_id -= 1'000'000'000'000;
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.text == kFirst + kSecond + kThird + kDamaged + "1 places: records are missing\n");
}

TEST_CASE("kernel log: sizes that no kernel has are refused") {
  for (uint64_t bits : {uint64_t{27}, uint64_t{32}, uint64_t{64}, uint64_t{0xffffffff}}) {
    RingModel ring = three_records();
    ring.count_bits = bits;
    Log log = read_model(ring);
    CHECK_FALSE(log.result.ok());
    CHECK(contains(text_of(log.result), "the log's size makes no sense"));
    CHECK(log.text.empty());
    ring = three_records();
    ring.text_bits = std::max<uint64_t>(bits, 32);
    CHECK_FALSE(read_model(ring).result.ok());
  }
}

TEST_CASE("kernel log: descriptors that are not there are counted up to a limit") {
  RingModel ring = three_records();
  ring.count_bits = 26;
  ring.tail_id -= 60'000'000;
  Log log = read_model(ring);
  REQUIRE(log.result.ok());
  CHECK(log.result->damaged == 1000);
}

TEST_CASE("kernel log: a page that is missing costs what stands in it") {
  RingModel ring(9, 14);
  add_many(ring, 400, 60);
  std::string whole = ring.text();
  for (uint64_t hole : {RingModel::kDescriptors, RingModel::kInfos, RingModel::kText}) {
    KernelBuilder builder({});
    ring.store(builder);
    builder.map(hole + kPageBytes, uint64_t{1} << 45, kPageBytes);
    Log log = read_log(builder.build());
    REQUIRE(log.result.ok());
    CHECK(log.result->damaged > 10);
    CHECK(log.result->damaged < 250);
    CHECK(log.text.size() > whole.size() / 3);
    CHECK(contains(log.text, kDamaged));
    CHECK(log.text.substr(0, 200) == whole.substr(0, 200));
  }
}

TEST_CASE("kernel log: each key of VMCOREINFO is asked for by name, and none is believed blindly") {
  KernelBuilder whole({});
  three_records().store(whole);
  std::string info = whole.vmcoreinfo();
  unsigned keys = 0;
  for (const char* key :
       {"OFFSET(printk_ringbuffer.desc_ring)", "OFFSET(printk_ringbuffer.text_data_ring)",
        "OFFSET(prb_desc_ring.count_bits)", "OFFSET(prb_desc_ring.descs)",
        "OFFSET(prb_desc_ring.infos)", "OFFSET(prb_desc_ring.head_id)",
        "OFFSET(prb_desc_ring.tail_id)", "SIZE(prb_desc)", "OFFSET(prb_desc.state_var)",
        "OFFSET(prb_desc.text_blk_lpos)", "OFFSET(prb_data_blk_lpos.begin)",
        "OFFSET(prb_data_blk_lpos.next)", "SIZE(printk_info)", "OFFSET(printk_info.ts_nsec)",
        "OFFSET(printk_info.text_len)", "OFFSET(prb_data_ring.size_bits)",
        "OFFSET(prb_data_ring.data)", "OFFSET(atomic_long_t.counter)"}) {
    CAPTURE(std::string(key));
    keys += contains(info, std::string(key) + "=") ? 1 : 0;
    KernelBuilder without({});
    three_records().store(without);
    without.drop_key(key);
    Log log = read_log(without.build());
    std::string name(key);
    name = name.substr(name.find('(') + 1, name.size() - name.find('(') - 2);
    CHECK(contains(text_of(log.result), name + ": VMCOREINFO does not say where"));
    for (const char* value : {"4097", "18446744073709551615"}) {
      KernelBuilder hostile({});
      three_records().store(hostile);
      hostile.set_key(key, value);
      CHECK_FALSE(read_log(hostile.build()).result.ok());
    }
  }
  CHECK(keys == 18);
}

TEST_CASE("kernel log: a kernel that does not tell who wrote a record") {
  KernelBuilder builder({});
  three_records().store(builder);
  builder.drop_key("OFFSET(printk_info.caller_id)");
  CHECK(read_log(builder.build()).text ==
        "[    1.234567] first\n[    2.000000] second\n[    3.000000] third\n");
}

TEST_CASE("kernel log: an error of who takes the text ends the reading") {
  KernelBuilder builder({});
  RingModel ring(9, 14);
  add_many(ring, 400, 60);
  ring.store(builder);
  JudgedVmcore judged(builder.build());
  unsigned calls = 0;
  Result<KernelLogSummary> result = write_kernel_log(judged.vmcore(), [&](Bytes) -> Status {
    ++calls;
    return Error(ErrorKind::kNoSpace, "full");
  });
  CHECK(calls == 1);
  CHECK(text_of(result) == "full");
}

TEST_CASE("kernel log: no VMCOREINFO, no log, another machine") {
  KernelBuilder silent({});
  silent.without_vmcoreinfo();
  CHECK(contains(text_of(read_log(silent.build()).result), "no VMCOREINFO"));
  KernelBuilder none({});
  CHECK(contains(text_of(read_log(none.build()).result), "printk_log: VMCOREINFO does not say"));
  KernelBuilder arm({});
  three_records().store(arm);
  VmcoreBuilder& built = arm.build();
  built.set_machine(183);
  CHECK(contains(text_of(read_log(built).result), "x86_64 only"));
  KernelBuilder lost({});
  three_records().store(lost);
  lost.set_key("SYMBOL(prb)", "ffffc90050000000");
  CHECK(contains(text_of(read_log(lost.build()).result), "not mapped"));
}

TEST_CASE("kernel log: the record buffer of older kernels, with and without who wrote") {
  for (bool with_caller : {false, true}) {
    RecordModel records(4096, with_caller);
    records.add({1'000'000, 5, "with a dictionary"}, "SUBSYSTEM=pci");
    records.add({2'000'000, 6, "two\nlines"});
    Log log = read_model(records);
    REQUIRE(log.result.ok());
    CHECK(log.result->records == 2);
    CHECK(log.text == (with_caller ? "[    0.001000] [      T5] with a dictionary\n"
                                     "[    0.002000] [      T6] two\n"
                                     "                          lines\n"
                                   : "[    0.001000] with a dictionary\n"
                                     "[    0.002000] two\n"
                                     "               lines\n"));
    for (unsigned rounds = 0; rounds < 40; ++rounds) {
      add_many(records, 30 + rounds, 100);
      log = read_model(records);
      REQUIRE(log.result.ok());
      CHECK(log.text == records.text());
      CHECK(log.result->damaged == 0);
    }
  }
}

TEST_CASE("kernel log: the record buffer by its older names") {
  RecordModel records(4096);
  add_many(records, 20, 50);
  KernelBuilder builder({});
  records.store(builder, true);
  CHECK(read_log(builder.build()).text == records.text());
}

TEST_CASE("kernel log: records that make no sense end the record buffer") {
  RecordModel records(4096);
  records.add({1'000'000, 0, "whole"});
  uint32_t second = records.next;
  records.add({2'000'000, 0, "hostile"});
  records.add({3'000'000, 0, "behind"});
  std::string whole = "[    0.001000] whole\n";
  std::string note = std::string(kDamaged) + "1 places: records are missing\n";
  // Shorter than its header, beyond the buffer, and back to the beginning for ever.
  for (uint16_t length : {uint16_t{15}, uint16_t{5000}, uint16_t{0}}) {
    RecordModel hostile = records;
    store(hostile.buffer(), second + 8, length);
    Log log = read_model(hostile);
    REQUIRE(log.result.ok());
    CHECK(log.text == whole + note);
  }
  RecordModel longer = records;
  store(longer.buffer(), second + 10, uint16_t{60000});  // text beyond its record
  CHECK(read_model(longer).text.substr(0, 43) == whole + "[    0.002000] hostile");
  CHECK(read_model(longer).text.size() < 200);
  RecordModel outside = records;
  outside.next = 5000;
  CHECK(contains(text_of(read_model(outside).result), "the log's size makes no sense"));
  RecordModel past = records;
  past.next = second + 4;  // never met
  Log log = read_model(past);
  REQUIRE(log.result.ok());
  CHECK(log.result->damaged == 1);
  RecordModel none = records;
  none.first = none.next;
  CHECK(read_model(none).text.empty());
}
