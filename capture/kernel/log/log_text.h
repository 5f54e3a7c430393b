// The text of log records as makedumpfile --dump-dmesg (1.7.8) prints it, byte for byte:
//
//   [    1.234567] [      T1] text of a record
//                             its second line
//
// Seconds and microseconds, then who wrote it where the kernel says: T and the number of a thread,
// or C and that of a CPU. Bytes that are neither printable ASCII nor white space become \x and
// their value as a signed int: \x1b, but \xffffffe2.
//
// Text is handed on in pieces of at most 8 KiB. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

// Takes the next piece of text. Its error ends the reading, and is what the reader returns.
using TextSink = std::function<Status(Bytes)>;

class LogText {
 public:
  // `sink` must outlive the object. Error kNoMemory.
  static Result<LogText> create(const TextSink& sink);

  // One record: begin(), add() for its text in any number of pieces, end(). Errors are the sink's.
  Status begin(uint64_t time_ns, std::optional<uint32_t> caller_id);
  Status add(Bytes text);
  Status end() { return put("\n"); }

  // A line of our own.
  Status note(std::string_view line);
  // Hands on what is held back.
  Status flush();
  // Of all text so far.
  [[nodiscard]] uint64_t bytes() const { return handed_on_ + used_; }

 private:
  LogText(const TextSink& sink, Buffer buffer) : sink_(&sink), buffer_(std::move(buffer)) {}

  Status put(std::string_view text);
  Status put_byte(char byte);

  const TextSink* sink_;
  Buffer buffer_;
  size_t used_ = 0;
  size_t indent_ = 0;  // of a record's further lines
  uint64_t handed_on_ = 0;
};

}  // namespace dw
