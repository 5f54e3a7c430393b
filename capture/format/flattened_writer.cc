#include "capture/format/flattened_writer.h"

#include <array>
#include <bit>

namespace dw {

namespace {

constexpr size_t kHeaderBytes = 4096;
constexpr char kSignature[16] = "makedumpfile";
constexpr uint64_t kType = 1;
constexpr uint64_t kVersion = 1;
constexpr uint64_t kEnd = ~uint64_t{0};  // as offset and as size

void store_big_endian(MutableBytes to, size_t offset, uint64_t value) {
  store(to, offset, __builtin_bswap64(value));
}

}  // namespace

Status FlattenedTarget::emit(Bytes bytes) {
  DW_TRY(target_->write_at(written_, bytes));
  written_ += bytes.size();
  return {};
}

Status FlattenedTarget::write_record(uint64_t offset, uint64_t size) {
  std::array<std::byte, 16> record{};
  store_big_endian(record, 0, offset);
  store_big_endian(record, 8, size);
  return emit(record);
}

Status FlattenedTarget::write_at(uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return {};
  DW_TRY(write_record(offset, bytes.size()));
  return emit(bytes);
}

Status FlattenedTarget::write_start() {
  std::array<std::byte, kHeaderBytes> header{};
  std::memcpy(header.data(), kSignature, sizeof(kSignature));
  store_big_endian(header, sizeof(kSignature), kType);
  store_big_endian(header, sizeof(kSignature) + 8, kVersion);
  return emit(header);
}

Status FlattenedTarget::write_end() { return write_record(kEnd, kEnd); }

Result<std::unique_ptr<FlattenedWriter>> FlattenedWriter::create(
    Target& target, const KdumpDescription& description, uint64_t page_size) {
  std::unique_ptr<FlattenedWriter> writer(new FlattenedWriter(target));
  DW_ASSIGN(writer->kdump_,
            KdumpWriter::create(writer->flattened_, description,
                                {.compression = description.compression}, page_size));
  return writer;
}

Status FlattenedWriter::start() {
  return flattened_.bytes_written() == 0 ? flattened_.write_start() : Status();
}

Status FlattenedWriter::write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) {
  DW_TRY(start());
  return kdump_->write_bitmaps(first_pfn, present, kept);
}

Status FlattenedWriter::begin(const Plan& plan) {
  DW_TRY(start());
  return kdump_->begin(plan);
}

Status FlattenedWriter::finish(bool complete) {
  DW_TRY(kdump_->finish(complete));
  DW_TRY(flattened_.write_end());
  DW_TRY(target_->sync());
  return complete ? target_->seal() : Status();
}

}  // namespace dw
