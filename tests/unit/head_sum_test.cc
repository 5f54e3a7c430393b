#include "capture/format/head_sum.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "capture/format/elf_layout.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

uint64_t sum_of(uint64_t offset, std::vector<std::byte> bytes) {
  HeadSum sum;
  sum.add(offset, bytes);
  return sum.value();
}

std::vector<std::byte> some_bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256 + 1);
  return bytes;
}

// One bit is not what was sent, when it is first asked to be durable.
class FlippedTarget : public MemoryTarget {
 public:
  explicit FlippedTarget(uint64_t at) : at_(at) {}
  Status sync() override {
    std::byte byte{};
    if (!flipped_ && read_at(at_, std::span(&byte, 1)).ok()) {
      flipped_ = true;
      byte ^= std::byte{4};
      DW_TRY(write_at(at_, std::span(&byte, 1)));
    }
    return MemoryTarget::sync();
  }
  [[nodiscard]] bool flipped() const { return flipped_; }

 private:
  uint64_t at_;
  bool flipped_ = false;
};

void check_flipped(const Vmcore& vmcore, const CaptureSettings& settings, uint64_t at) {
  CAPTURE(at);
  FlippedTarget target(at);
  Status captured = capture_into(target, vmcore, settings);
  CHECK(target.flipped());
  REQUIRE_FALSE(captured.ok());
  CHECK(captured.error().kind() == ErrorKind::kLost);
  CHECK(target.state() == MemoryTarget::State::kStaged);
}

}  // namespace

TEST_CASE("head_sum: neither order, nor pieces, nor zeros make a difference") {
  std::vector<std::byte> bytes = some_bytes(1000);
  std::span<const std::byte> all(bytes);
  HeadSum whole;
  whole.add(4096, all);
  HeadSum pieces;
  pieces.add(4096 + 504, all.subspan(504));
  pieces.add(0, std::vector<std::byte>(4096));
  pieces.add(4096, all.first(504));
  CHECK(pieces.value() == whole.value());
  CHECK(HeadSum().value() != whole.value());
}

TEST_CASE("head_sum: each bit counts, and so does its place") {
  std::vector<std::byte> bytes = some_bytes(77);
  uint64_t right = sum_of(8, bytes);
  CHECK(sum_of(16, bytes) != right);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> wrong = bytes;
    wrong[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    CHECK(sum_of(8, wrong) != right);
  }
  // The highest bits of two words.
  for (size_t at : {7, 15}) bytes[at] ^= std::byte{0x80};
  CHECK(sum_of(8, bytes) != right);
}

TEST_CASE("head_sum: a kdump file whose head is not as it was sent is not published") {
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CaptureSettings settings;
  KdumpDescription described = describe(vmcore, settings.compression.compression);
  KdumpLayout layout = make_kdump_layout(4096, described.notes.size(), described.max_mapnr).value();
  MemoryTarget whole;
  REQUIRE(capture_into(whole, vmcore, settings).ok());
  KdumpHeader header;
  std::memcpy(&header, whole.content().data(), sizeof(header));
  layout.set_descriptor_count(header.written_blocks);
  for (uint64_t at = 3; at < layout.descriptors_offset; at += 1021)
    check_flipped(vmcore, settings, at);
  check_flipped(vmcore, settings, layout.notes_offset + described.notes.size() - 1);
  check_flipped(vmcore, settings, layout.second_bitmap_offset);
  check_flipped(vmcore, settings, layout.data_offset + 5);  // in the zero page
}

TEST_CASE("head_sum: an ELF core whose head is not as it was sent is not published") {
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CaptureSettings settings{.format = DumpFormat::kElf,
                           .compression = {.compression = Compression::kNone}};
  uint64_t end = ElfLayout(describe(vmcore).elf, 4096).data_offset();
  for (uint64_t at = 3; at < end; at += 61) check_flipped(vmcore, settings, at);
}
