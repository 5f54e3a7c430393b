#include "capture/target/server/server_source.h"

#include <algorithm>

namespace dw {

class ServerSource::Reader : public ByteReader {
 public:
  explicit Reader(const ServerSource& source) : source_(&source) {}

  Result<size_t> read_up_to(MutableBytes into, uint64_t offset) override {
    if (offset >= source_->size_) return size_t{0};
    size_t n = std::min<uint64_t>(into.size(), source_->size_ - offset);
    std::lock_guard lock(source_->mutex_);
    DW_TRY(source_->file_.read(offset, into.first(n)));
    return n;
  }

 private:
  const ServerSource* source_;
};

Result<std::unique_ptr<ServerSource>> ServerSource::open(std::unique_ptr<ServerFile> file) {
  DW_ASSIGN(RemoteFile remote, RemoteFile::open(std::move(file), kMemory));
  return std::unique_ptr<ServerSource>(new ServerSource(std::move(remote)));
}

Result<std::unique_ptr<ByteReader>> ServerSource::open_reader() const {
  return std::unique_ptr<ByteReader>(std::make_unique<Reader>(*this));
}

}  // namespace dw
