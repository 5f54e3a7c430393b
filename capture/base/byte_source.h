// Bytes at any offset, wherever they stand: in a file as they are, or in one that packs them (a
// stream of frames, makedumpfile's flattened records). All of them are untrusted.
//
// A ByteSource is immutable and shared by all threads; each thread reads through a ByteReader of
// its own, which must not outlive its source. Offsets are those of the unpacked bytes unless a name
// says file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"

namespace dw {

// One thread's way to the bytes; may own what unpacking takes.
class ByteReader {
 public:
  ByteReader() = default;
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;
  virtual ~ByteReader() = default;

  // Reads up to the end; returns the number of bytes read. Errors tell the file's offset.
  virtual Result<size_t> read_up_to(MutableBytes into, uint64_t offset) = 0;

  // Bytes that end first are an error of kind kBadInput.
  Status read_exact(MutableBytes into, uint64_t offset);
};

// What a source itself says about whether all of it is there.
enum class Ending : uint8_t {
  kUnsaid,   // nothing: its content has to say
  kCut,      // it ends before it should
  kPartial,  // it was closed, but not everything was written to it
  kWhole,
};

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  // One past the last byte.
  [[nodiscard]] virtual uint64_t size() const = 0;

  [[nodiscard]] virtual Ending ending() const { return Ending::kUnsaid; }
  // With Ending::kCut: where, in the file.
  [[nodiscard]] virtual std::optional<uint64_t> cut_at() const { return std::nullopt; }

  // Whether all of these bytes were written. What was not, but lies before the end, reads as
  // anything.
  [[nodiscard]] virtual bool covers(uint64_t offset, uint64_t length) const;

  // Where in the file to look for what is wrong with a byte.
  [[nodiscard]] virtual uint64_t file_offset(uint64_t offset) const { return offset; }

  // Reads whatever the source has that vouches for it; that may be the whole file. kBadInput, with
  // the file's offset, if something is wrong.
  virtual Status verify() const { return {}; }

  virtual Result<std::unique_ptr<ByteReader>> open_reader() const = 0;
  // Memory that one reader takes, in bytes.
  [[nodiscard]] virtual size_t reader_bytes() const { return 0; }
  // Memory that the source itself takes, in bytes.
  [[nodiscard]] virtual size_t index_bytes() const { return 0; }
};

// A file as it is.
class FileSource : public ByteSource {
 public:
  static Result<std::unique_ptr<FileSource>> open(ReadableFile file);

  [[nodiscard]] uint64_t size() const override { return size_; }
  Result<std::unique_ptr<ByteReader>> open_reader() const override;

 private:
  FileSource(ReadableFile file, uint64_t size) : file_(std::move(file)), size_(size) {}

  ReadableFile file_;
  uint64_t size_;
};

}  // namespace dw
