#include "capture/base/byte_source.h"

#include "capture/base/checked.h"

namespace dw {

namespace {

class FileReader : public ByteReader {
 public:
  explicit FileReader(int fd) : fd_(fd) {}
  Result<size_t> read_up_to(MutableBytes into, uint64_t offset) override {
    return read_up_to_at(fd_, into, offset);
  }

 private:
  int fd_;
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

Result<std::unique_ptr<FileSource>> FileSource::open(Fd fd) {
  DW_ASSIGN(uint64_t size, dw::file_size(fd.get()));
  return std::unique_ptr<FileSource>(new FileSource(std::move(fd), size));
}

Result<std::unique_ptr<ByteReader>> FileSource::open_reader() const {
  return std::unique_ptr<ByteReader>(new FileReader(fd_.get()));
}

}  // namespace dw
