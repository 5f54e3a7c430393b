// A file on a server, to be read: not over again for each small piece.
//
// Thread safety: as ByteSource for its own readers; but nothing else may use the server meanwhile.
// Ownership: the server outlives it.
#pragma once

#include <memory>
#include <mutex>

#include "capture/base/byte_source.h"
#include "capture/target/server/remote_file.h"

namespace dw {

class ServerSource : public ByteSource {
 public:
  static Result<std::unique_ptr<ServerSource>> open(std::unique_ptr<ServerFile> file);

  [[nodiscard]] uint64_t size() const override { return size_; }
  Result<std::unique_ptr<ByteReader>> open_reader() const override;
  [[nodiscard]] size_t index_bytes() const override { return RemoteFile::memory_bytes(kMemory); }

 private:
  class Reader;

  static constexpr RemoteFile::Memory kMemory{.piece = 0, .ahead = 1 << 20};

  explicit ServerSource(RemoteFile file) : size_(file.size()), file_(std::move(file)) {}

  uint64_t size_;
  mutable std::mutex mutex_;
  mutable RemoteFile file_;
};

}  // namespace dw
