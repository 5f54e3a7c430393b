// A file in makedumpfile's flattened format (flattened_format.h) that is read as the file it means,
// without being rearranged first.
//
// Thread safety: as ByteSource.
#pragma once

#include <memory>
#include <optional>

#include "capture/base/byte_source.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/format/flattened_index.h"

namespace dw {

class FlattenedFile : public ByteSource {
 public:
  // Whether the file starts with the flattened signature.
  static Result<bool> recognizes(const FileView& file);

  // Walks the headers of all records. A file without its end mark was cut off, which is no error.
  // Errors kBadInput and kUnsupported, with the offset.
  static Result<std::unique_ptr<FlattenedFile>> open(ReadableFile file);

  [[nodiscard]] uint64_t size() const override { return index_.end(); }
  [[nodiscard]] Ending ending() const override { return cut_at_ ? Ending::kCut : Ending::kUnsaid; }
  [[nodiscard]] std::optional<uint64_t> cut_at() const override { return cut_at_; }
  // What no record has reads as zeros, as it does in the file that makedumpfile -R writes; of a cut
  // file nobody knows whether it would have come.
  [[nodiscard]] bool covers(uint64_t offset, uint64_t length) const override;
  [[nodiscard]] uint64_t file_offset(uint64_t offset) const override;
  Result<std::unique_ptr<ByteReader>> open_reader() const override;
  [[nodiscard]] size_t index_bytes() const override { return index_.memory_bytes(); }

 private:
  friend class FlattenedReader;

  explicit FlattenedFile(ReadableFile file) : file_(std::move(file)) {}

  Status check_header(uint64_t file_size);
  Status walk(uint64_t file_size);

  ReadableFile file_;
  FlattenedIndex index_;
  std::optional<uint64_t> cut_at_;
};

}  // namespace dw
