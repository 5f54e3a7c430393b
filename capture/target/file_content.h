// What a small file is to hold, when it may be too large to be in memory at once: it is made piece
// by piece, as often as somebody asks for it.
// Thread safety: copy_to() may be called by several threads at once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class FileContent {
 public:
  using Take = std::function<Status(Bytes)>;

  FileContent() = default;
  FileContent(const FileContent&) = delete;
  FileContent& operator=(const FileContent&) = delete;
  virtual ~FileContent() = default;

  // No more bytes than this will come.
  [[nodiscard]] virtual uint64_t size() const = 0;
  // All of it, if it is in memory.
  [[nodiscard]] virtual std::optional<Bytes> whole() const { return std::nullopt; }
  // Gives `take` all of it, from front to back. An error of `take` ends it and is returned.
  virtual Status copy_to(const Take& take) const = 0;
};

// Bytes that are in memory.
class BytesContent final : public FileContent {
 public:
  explicit BytesContent(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] std::optional<Bytes> whole() const override { return bytes_; }
  Status copy_to(const Take& take) const override { return take(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace dw
