// The kernel's log in memory of any content. The input is: flags (1 byte; 1: the record buffer
// instead of the ring, who wrote each record, the position of texts), the sizes as powers of two (2
// bytes), five words (addresses and positions, brought near to what makes sense), then memory from
// the beginning of the image on.
//
// The reading ends, with no more text than the log can hold, in pieces of a few KiB; every byte of
// it may be shown on a terminal.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "capture/kernel/log/kernel_log.h"
#include "tests/fuzz/memory_file.h"
#include "tests/golden/judged_vmcore.h"
#include "tests/unit/support/log_model.h"

namespace {

using namespace dw;
using namespace dw::golden;
using dw::fuzz::require;

constexpr uint64_t kMemoryBytes = 64 << 10;
constexpr uint64_t kVariables = kMemoryBytes;  // physical, behind the input's memory
constexpr uint64_t kRing = kVariables + 256;
constexpr size_t kHeader = 3 + 5 * 8;

struct Input {
  uint8_t flags;
  uint64_t count_bits, text_bits;
  uint64_t words[5];
};

Input parse(const uint8_t* data) {
  // Sizes of more than the memory that there is are tried too, but not all the time.
  auto bits = [](uint8_t byte) -> uint64_t { return byte >= 128 ? byte - 96u : byte % 18; };
  Input input{
      .flags = data[0], .count_bits = bits(data[1]), .text_bits = bits(data[2]), .words = {}};
  std::memcpy(input.words, data + 3, sizeof(input.words));
  return input;
}

// Mostly in memory that the input fills.
uint64_t address(uint64_t word) {
  bool anywhere = word >> 60 == 5;
  return anywhere ? word | uint64_t{0xff} << 56 : kImageMap + word % (kMemoryBytes + 4096);
}

void set_symbol(KernelBuilder& builder, const char* key, uint64_t physical) {
  char text[32];
  std::snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(kImageMap + physical));
  builder.set_key(key, text);
}

void add_ring(KernelBuilder& builder, VmcoreBuilder& memory, const Input& input) {
  uint64_t ring[] = {input.count_bits, address(input.words[0]), address(input.words[1]),
                     input.words[2],   input.words[3],          0,
                     input.text_bits,  address(input.words[4])};
  memory.store(kVariables, kImageMap + kRing).write(kRing, bytes_of(ring));
  set_symbol(builder, "SYMBOL(prb)", kVariables);
  test::set_ring_keys(builder, 24, (input.flags & 2) != 0);
}

void add_records(KernelBuilder& builder, VmcoreBuilder& memory, const Input& input) {
  memory.store(kVariables, address(input.words[4]))
      .store(kVariables + 8, static_cast<uint32_t>(input.words[2] % (2 * kMemoryBytes)))
      .store(kVariables + 12, static_cast<uint32_t>(input.words[0] % (2 * kMemoryBytes)))
      .store(kVariables + 16, static_cast<uint32_t>(input.words[1] % (2 * kMemoryBytes)));
  set_symbol(builder, "SYMBOL(log_buf)", kVariables);
  set_symbol(builder, "SYMBOL(log_buf_len)", kVariables + 8);
  set_symbol(builder, "SYMBOL(log_first_idx)", kVariables + 12);
  set_symbol(builder, "SYMBOL(log_next_idx)", kVariables + 16);
  test::set_record_keys(builder, "printk_log", 20, (input.flags & 2) != 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kHeader || size > kHeader + kMemoryBytes) return 0;
  Input input = parse(data);
  KernelSpec spec;
  spec.image_physical = 0;
  KernelBuilder builder(spec);
  VmcoreBuilder memory;
  memory.add_segment({.physical_address = 0,
                      .memory_size = 2 * kMemoryBytes,
                      .virtual_address = kImageMap,
                      .file_size = 2 * kMemoryBytes});
  memory.write(0, std::as_bytes(std::span(data + kHeader, size - kHeader)));
  if ((input.flags & 1) != 0)
    add_records(builder, memory, input);
  else
    add_ring(builder, memory, input);
  builder.set_key("NUMBER(phys_base)", "0");
  memory.add_vmcoreinfo(builder.vmcoreinfo());

  TemporaryVmcore file(memory);
  Result<Vmcore> vmcore = Vmcore::open(file.path());
  require(vmcore.ok());
  uint64_t bytes = 0;
  Result<KernelLogSummary> log = write_kernel_log(*vmcore, [&](Bytes text) -> Status {
    require(text.size() <= 8192);
    bytes += text.size();
    for (std::byte each : text) {
      auto letter = static_cast<unsigned char>(each);
      require((letter >= ' ' && letter <= '~') || (letter >= '\t' && letter <= '\r'));
    }
    return {};
  });
  // A byte of the log may become an indented line of 40; a record of 8 bytes or more, a prefix.
  constexpr uint64_t kMost = 4 * kMemoryBytes * 48;
  require(bytes <= kMost);
  if (log.ok()) require(log->bytes == bytes && log->damaged <= 1000);
  return 0;
}
