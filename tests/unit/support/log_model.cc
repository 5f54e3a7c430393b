#include "tests/unit/support/log_model.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>

#include "capture/base/bytes.h"
#include "capture/base/checked.h"

namespace dw::test {

using golden::KernelBuilder;
using golden::kImageMap;
using golden::kPageBytes;

namespace {

constexpr uint64_t kIdMask = ~uint64_t{0} >> 2;
// Of the variables in the image, from its begin on; nothing else is there.
constexpr uint64_t kVariables = 0x30000;
constexpr uint64_t kInfoBytes = 88;

std::string hex(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(value));
  return text;
}

struct Variable {
  uint64_t physical, address;
};

Variable variable(const KernelBuilder& builder, uint64_t offset) {
  uint64_t address = kImageMap + 0x1000000 + kVariables + offset;
  return {.physical = address - kImageMap + builder.phys_base(), .address = address};
}

// At `address`, on pages in the opposite order.
void store_apart(KernelBuilder& builder, uint64_t address, Bytes bytes) {
  uint64_t pages = divide_up(bytes.size(), kPageBytes);
  uint64_t physical = builder.allocate(pages * kPageBytes);
  for (uint64_t i = 0; i < pages; ++i) {
    uint64_t page = physical + (pages - 1 - i) * kPageBytes;
    builder.map(address + i * kPageBytes, page, kPageBytes);
    Bytes part = bytes.subspan(i * kPageBytes);
    builder.memory().write(page, part.first(std::min<size_t>(part.size(), kPageBytes)));
  }
}

}  // namespace

void set_ring_keys(KernelBuilder& builder, unsigned info_bytes, bool with_caller) {
  constexpr std::pair<const char*, const char*> kKeys[] = {
      {"OFFSET(printk_ringbuffer.desc_ring)", "0"},
      {"OFFSET(printk_ringbuffer.text_data_ring)", "48"},
      {"OFFSET(prb_desc_ring.count_bits)", "0"},
      {"OFFSET(prb_desc_ring.descs)", "8"},
      {"OFFSET(prb_desc_ring.infos)", "16"},
      {"OFFSET(prb_desc_ring.head_id)", "24"},
      {"OFFSET(prb_desc_ring.tail_id)", "32"},
      {"SIZE(prb_desc)", "24"},
      {"OFFSET(prb_desc.state_var)", "0"},
      {"OFFSET(prb_desc.text_blk_lpos)", "8"},
      {"OFFSET(prb_data_blk_lpos.begin)", "0"},
      {"OFFSET(prb_data_blk_lpos.next)", "8"},
      {"OFFSET(printk_info.ts_nsec)", "8"},
      {"OFFSET(printk_info.text_len)", "16"},
      {"OFFSET(prb_data_ring.size_bits)", "0"},
      {"OFFSET(prb_data_ring.data)", "8"},
      {"OFFSET(atomic_long_t.counter)", "0"}};
  for (auto [key, value] : kKeys) builder.set_key(key, value);
  builder.set_key("SIZE(printk_info)", std::to_string(info_bytes));
  if (with_caller) builder.set_key("OFFSET(printk_info.caller_id)", "20");
}

void set_record_keys(KernelBuilder& builder, const std::string& name, size_t header_bytes,
                     bool with_caller) {
  builder.set_key("SIZE(" + name + ")", std::to_string(header_bytes));
  builder.set_key("OFFSET(" + name + ".ts_nsec)", "0");
  builder.set_key("OFFSET(" + name + ".len)", "8");
  builder.set_key("OFFSET(" + name + ".text_len)", "10");
  if (with_caller) builder.set_key("OFFSET(" + name + ".caller_id)", "16");
}

std::string printed(const LoggedRecord& record, bool with_caller) {
  char prefix[80];
  int length = std::snprintf(prefix, sizeof(prefix), "[%5llu.%06llu] ",
                             static_cast<unsigned long long>(record.time_ns / 1000000000),
                             static_cast<unsigned long long>(record.time_ns % 1000000000 / 1000));
  bool cpu = record.caller_id >= 0x80000000;
  std::string caller = (cpu ? "C" : "T") + std::to_string(record.caller_id % 0x80000000);
  if (with_caller) length += std::snprintf(prefix + length, 40, "[%8s] ", caller.c_str());
  std::string line = prefix;
  for (char byte : record.text) {
    line += byte;
    if (byte == '\n') line.append(static_cast<size_t>(length), ' ');
  }
  return line + "\n";
}

RingModel::RingModel(unsigned count_bits_, unsigned text_bits_, bool fills_to_end)
    : count_bits(count_bits_),
      text_bits(text_bits_),
      tail_id(kIdMask - 2),
      head_id(kIdMask - 3),
      fills_to_end_(fills_to_end),
      descriptors_(size_t{1} << count_bits_),
      infos_(descriptors_.size()),
      ring_(size_t{1} << text_bits_),
      head_position_(0 - ring_.size()),
      tail_position_(head_position_) {
  // Never used: as the kernel leaves them when it starts.
  for (Descriptor& descriptor : descriptors_)
    descriptor = {uint64_t{kReusable} << 62 | 12345, 1, 1};
}

void RingModel::drop_oldest() {
  Descriptor& oldest = descriptor(tail_id);
  if (oldest.begin % 2 == 0) tail_position_ = oldest.next;
  set_state(tail_id, kReusable);
  tail_id = (tail_id + 1) & kIdMask;
  live_.pop_front();
}

// Where a block of `size` bytes ends that begins at `begin`.
uint64_t RingModel::place(uint64_t begin, uint64_t size) const {
  uint64_t last = begin + size - (fills_to_end_ ? 1 : 0);
  bool wraps = begin / ring_.size() != last / ring_.size();
  return wraps ? align_down(begin, ring_.size()) + ring_.size() + size : begin + size;
}

void RingModel::put_text(Descriptor& descriptor, uint64_t id, std::string_view text) {
  uint64_t size = align_up(8 + text.size(), 8);
  descriptor.begin = head_position_;
  descriptor.next = place(head_position_, size);
  while (descriptor.next - tail_position_ > ring_.size()) drop_oldest();
  head_position_ = descriptor.next;
  uint64_t at = descriptor.begin % ring_.size();
  std::memcpy(ring_.data() + at, &id, sizeof(id));
  bool to_end = at + size == ring_.size();
  if (to_end && fills_to_end_) ++texts_to_end;
  if (at + size > ring_.size() || (to_end && !fills_to_end_)) {
    ++texts_at_begin;
    at = 0;
    std::memcpy(ring_.data(), &id, sizeof(id));
  }
  std::ranges::copy(std::as_bytes(std::span(text)), ring_.data() + at + 8);
}

void RingModel::add(const LoggedRecord& record) {
  if (live_.size() == count()) drop_oldest();
  head_id = (head_id + 1) & kIdMask;
  Descriptor& descriptor = this->descriptor(head_id);
  if (record.text.empty())
    descriptor.begin = descriptor.next = 3;
  else
    put_text(descriptor, head_id, record.text);
  infos_[head_id & (count() - 1)] = {record.time_ns, static_cast<uint16_t>(record.text.size()),
                                     record.caller_id};
  set_state(head_id, kFinalized);
  live_.push_back(record);
}

std::string RingModel::text() const {
  std::string all;
  for (const LoggedRecord& record : live_)
    if (!record.text.empty()) all += printed(record);
  return all;
}

void RingModel::store(KernelBuilder& builder) const {
  std::vector<std::byte> infos(infos_.size() * kInfoBytes);
  for (size_t i = 0; i < infos_.size(); ++i) {
    dw::store(infos, i * kInfoBytes + 8, infos_[i].time_ns);
    dw::store(infos, i * kInfoBytes + 16, infos_[i].length);
    dw::store(infos, i * kInfoBytes + 20, infos_[i].caller_id);
  }
  store_apart(builder, kDescriptors, std::as_bytes(std::span(descriptors_)));
  store_apart(builder, kInfos, infos);
  store_apart(builder, kText, ring_);

  Variable pointer = variable(builder, 0);
  Variable ring = variable(builder, 64);
  uint64_t ring_words[] = {count_bits, kDescriptors, kInfos, head_id,        tail_id,
                           0,          text_bits,    kText,  head_position_, tail_position_};
  builder.memory().store(pointer.physical, ring.address);
  builder.memory().write(ring.physical, bytes_of(ring_words));
  builder.set_key("SYMBOL(prb)", hex(pointer.address));
  set_ring_keys(builder, 88, true);
}

void RecordModel::drop_oldest() {
  auto length = load<uint16_t>(buffer_, first + 8);
  if (length == 0) {
    first = 0;
    length = load<uint16_t>(buffer_, 8);
  }
  first += length;
  live_.pop_front();
}

// Of records, with room for one more header behind, which may have to say that the rest is empty.
bool RecordModel::has_room(size_t size) const {
  size_t with_end = size + header_bytes_;
  if (live_.empty() || next > first)
    return next + with_end <= buffer_.size() || with_end <= first || live_.empty();
  return with_end <= first - next;
}

void RecordModel::add(const LoggedRecord& record, std::string_view dictionary) {
  size_t size = align_up(header_bytes_ + record.text.size() + dictionary.size(), 4);
  while (!has_room(size)) drop_oldest();
  if (next + size + header_bytes_ > buffer_.size()) {
    std::fill_n(buffer_.begin() + next, header_bytes_, std::byte{0});
    next = 0;
  }
  dw::store(buffer_, next, record.time_ns);
  dw::store(buffer_, next + 8, static_cast<uint16_t>(size));
  dw::store(buffer_, next + 10, static_cast<uint16_t>(record.text.size()));
  dw::store(buffer_, next + 12, static_cast<uint16_t>(dictionary.size()));
  if (header_bytes_ == 20) dw::store(buffer_, next + 16, record.caller_id);
  std::byte* text = buffer_.data() + next + header_bytes_;
  for (std::string_view part : {std::string_view(record.text), dictionary})
    text = std::ranges::copy(std::as_bytes(std::span(part)), text).out;
  next += static_cast<uint32_t>(size);
  live_.push_back(record);
}

std::string RecordModel::text() const {
  std::string all;
  for (const LoggedRecord& record : live_) all += printed(record, header_bytes_ == 20);
  return all;
}

void RecordModel::store(KernelBuilder& builder, bool old_names) const {
  store_apart(builder, RingModel::kText, buffer_);
  Variable variables = variable(builder, 0);
  builder.memory().store(variables.physical, RingModel::kText);
  builder.memory().store(variables.physical + 8, static_cast<uint32_t>(buffer_.size()));
  builder.memory().store(variables.physical + 12, first);
  builder.memory().store(variables.physical + 16, next);
  builder.set_key("SYMBOL(log_buf)", hex(variables.address));
  builder.set_key("SYMBOL(log_buf_len)", hex(variables.address + 8));
  builder.set_key("SYMBOL(log_first_idx)", hex(variables.address + 12));
  builder.set_key("SYMBOL(log_next_idx)", hex(variables.address + 16));
  set_record_keys(builder, old_names ? "log" : "printk_log", header_bytes_, header_bytes_ == 20);
}

}  // namespace dw::test
