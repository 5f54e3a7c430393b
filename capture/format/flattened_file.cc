#include "capture/format/flattened_file.h"

#include <algorithm>
#include <limits>

#include "capture/base/checked.h"
#include "capture/base/file_window.h"
#include "capture/format/flattened_format.h"

namespace dw {

class FlattenedReader : public ByteReader {
 public:
  explicit FlattenedReader(const FlattenedFile& file) : file_(&file) {}

  Result<size_t> read_up_to(MutableBytes into, uint64_t offset) override {
    uint64_t end = file_->index_.end();
    if (offset >= end) return size_t{0};
    into = into.first(std::min<uint64_t>(into.size(), end - offset));
    for (size_t done = 0; done < into.size();) {
      DW_ASSIGN(size_t n, read_piece(into.subspan(done), offset + done));
      done += n;
    }
    return into.size();
  }

 private:
  Result<size_t> read_piece(MutableBytes into, uint64_t offset) {
    std::optional<FlattenedIndex::Piece> piece = file_->index_.find(offset);
    if (!piece) {
      uint64_t hole = file_->index_.next_begin(offset) - offset;
      size_t n = std::min<uint64_t>(hole, into.size());
      std::ranges::fill(into.first(n), std::byte{0});
      return n;
    }
    size_t n = std::min<uint64_t>(piece->bytes, into.size());
    DW_TRY(read_exact_at(file_->file_.get(), into.first(n), piece->file_offset));
    return n;
  }

  const FlattenedFile* file_;
};

Result<bool> FlattenedFile::recognizes(const FileView& file) {
  char start[sizeof(kFlattenedSignature)] = {};
  DW_ASSIGN(size_t n, read_up_to_at(file, std::as_writable_bytes(std::span(start)), 0));
  return n == sizeof(start) && std::memcmp(start, kFlattenedSignature, n) == 0;
}

Result<std::unique_ptr<FlattenedFile>> FlattenedFile::open(ReadableFile readable) {
  DW_ASSIGN(uint64_t size, dw::file_size(readable.get()));
  std::unique_ptr<FlattenedFile> file(new FlattenedFile(std::move(readable)));
  DW_TRY(file->check_header(size));
  // A whole one ends in its end mark, which is no zero.
  DW_ASSIGN(uint64_t end, end_without_zeros(file->file_.get(), size));
  DW_TRY(file->walk(end));
  DW_TRY(file->index_.resolve());
  return file;
}

Status FlattenedFile::check_header(uint64_t file_size) {
  if (file_size < kFlattenedHeaderBytes)
    return Error(ErrorKind::kBadInput, "too short for a flattened file")
        .at(Where::kOffset, file_size)
        .hint("the dump is cut; copy it again from where it was");
  FlattenedHeader header;
  DW_TRY(read_exact_at(file_.get(), std::as_writable_bytes(std::span(&header, 1)), 0));
  if (header.type != big_endian(1) || header.version != big_endian(1))
    return Error(ErrorKind::kUnsupported, "a flattened file of another version")
        .at(Where::kOffset, offsetof(FlattenedHeader, type))
        .hint("bring it in order with the makedumpfile that wrote it: makedumpfile -R NEW < FILE");
  return {};
}

Status FlattenedFile::walk(uint64_t file_size) {
  FileWindow window(file_.get());
  uint64_t at = kFlattenedHeaderBytes;
  for (;;) {
    if (!range_fits(at, sizeof(FlattenedRecord), file_size)) break;
    DW_ASSIGN(Bytes bytes, window.look(at, sizeof(FlattenedRecord)));
    FlattenedRecord record = load<FlattenedRecord>(bytes, 0);
    int64_t offset = big_endian(record.offset);
    int64_t size = big_endian(record.size);
    if (offset == -1 && size == -1) return {};
    if (offset < 0 || size <= 0 || offset > std::numeric_limits<int64_t>::max() - size)
      return Error(ErrorKind::kBadInput, "a record of the flattened file is damaged")
          .at(Where::kOffset, at)
          .hint("copy the dump again from where it was");
    uint64_t data_at = at + sizeof(FlattenedRecord);
    uint64_t there = std::min<uint64_t>(static_cast<uint64_t>(size), file_size - data_at);
    if (there > 0)
      DW_TRY(index_.add({.content_offset = static_cast<uint64_t>(offset),
                         .file_offset = data_at,
                         .bytes = there}));
    if (there < static_cast<uint64_t>(size)) break;
    at = data_at + there;
  }
  cut_at_ = at;
  return {};
}

bool FlattenedFile::covers(uint64_t offset, uint64_t length) const {
  if (!range_fits(offset, length, size())) return false;
  if (!cut_at_) return true;
  for (uint64_t at = offset; at < offset + length;) {
    std::optional<FlattenedIndex::Piece> piece = index_.find(at);
    if (!piece) return false;
    at += piece->bytes;
  }
  return true;
}

uint64_t FlattenedFile::file_offset(uint64_t offset) const {
  std::optional<FlattenedIndex::Piece> piece = index_.find(offset);
  return piece ? piece->file_offset : 0;
}

Result<std::unique_ptr<ByteReader>> FlattenedFile::open_reader() const {
  return std::unique_ptr<ByteReader>(new FlattenedReader(*this));
}

}  // namespace dw
