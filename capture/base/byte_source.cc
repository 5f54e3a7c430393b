#include "capture/base/byte_source.h"

#include "capture/base/checked.h"

namespace dw {

namespace {

class FileReader : public ByteReader {
 public:
  explicit FileReader(FileView file) : file_(file) {}
  Result<size_t> read_up_to(MutableBytes into, uint64_t offset) override {
    return read_up_to_at(file_, into, offset);
  }

 private:
  FileView file_;
};

}  // namespace

Status ByteReader::read_exact(MutableBytes into, uint64_t offset) {
  DW_ASSIGN(size_t done, read_up_to(into, offset));
  if (done < into.size())
    return Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset + done);
  return {};
}

bool ByteSource::covers(uint64_t offset, uint64_t length) const {
  return range_fits(offset, length, size());
}

Result<std::unique_ptr<FileSource>> FileSource::open(ReadableFile file) {
  DW_ASSIGN(uint64_t size, dw::file_size(file.get()));
  return std::unique_ptr<FileSource>(new FileSource(std::move(file), size));
}

Result<std::unique_ptr<ByteReader>> FileSource::open_reader() const {
  return std::unique_ptr<ByteReader>(new FileReader(file_.get()));
}

}  // namespace dw
