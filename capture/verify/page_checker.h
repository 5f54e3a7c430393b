// Whether stored pages of a kdump file are what their own checksums say, and where they are not.
//
// One PageChecker per thread; it owns buffers and decompressor, and adds to a DamagedData that all
// share. Asks for no memory after create().
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/byte_source.h"
#include "capture/codec/page_decompressor.h"
#include "capture/format/kdump_file.h"
#include "capture/verify/damage.h"

namespace dw {

class PageChecker {
 public:
  // The most that a batch of pages takes, and that is read at once.
  [[nodiscard]] static size_t data_bytes(const KdumpFile& file);

  // Both must outlive it. Error kNoMemory.
  static Result<PageChecker> create(const KdumpFile& file, DamagedData& damaged);

  [[nodiscard]] ByteReader& reader() { return *reader_; }

  // Reads a piece of the file, at most data_bytes(). Fewer bytes where it ends or cannot be read:
  // what is not there is added to the damage.
  Bytes read_data(uint64_t offset, size_t length);

  enum class Finding : uint8_t { kRight, kWrong, kUncheckable };
  // `stored`: the bytes that the descriptor points to. A page that is wrong is added to the damage.
  Finding check(const PageDescriptor& descriptor, Bytes stored);

  // Reads and checks pages anywhere in the file, of descriptors in the order of page frames.
  void check_all(std::span<const PageDescriptor> descriptors);

 private:
  PageChecker(const KdumpFile& file, DamagedData& damaged, PageDecompressor decompressor)
      : file_(&file), damaged_(&damaged), decompressor_(std::move(decompressor)) {}

  const KdumpFile* file_;
  DamagedData* damaged_;
  PageDecompressor decompressor_;
  std::unique_ptr<ByteReader> reader_;
  Buffer data_;
  Buffer page_;
  uint64_t last_offset_ = 0;  // a page that many share is looked at once in a row
};

}  // namespace dw
