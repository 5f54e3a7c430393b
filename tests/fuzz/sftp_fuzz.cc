// What an SFTP server may send: bytes in pieces of any size, put together and taken apart.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "capture/target/ssh/sftp_message.h"

using namespace dw;

namespace {

constexpr size_t kMostMessage = 4096;

void must(bool condition) {
  if (!condition) std::abort();
}

// Whatever is taken out of a message lies in it.
void check_inside(Bytes part, Bytes whole) {
  must(part.empty() ||
       (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}

void take_apart(Bytes message) {
  if (Result<SftpReply> reply = parse_sftp_reply(message); reply.ok()) {
    check_inside(reply->data, message);
    must(reply->type == static_cast<SftpType>(message[0]));
  }
  static_cast<void>(parse_sftp_version(message));
  static_cast<void>(parse_sftp_limits(message));
  if (Result<SftpSpace> space = parse_sftp_space(message); space.ok()) must(message.size() >= 80);
}

// The same messages come out whatever the pieces.
uint64_t put_together(Bytes stream, size_t piece, bool look) {
  SftpAssembler assembler(kMostMessage);
  uint64_t sum = 0;
  while (!stream.empty()) {
    Bytes now = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(now.size());
    while (!now.empty()) {
      Result<bool> whole = assembler.take(now);
      if (!whole.ok()) return sum + 1;
      if (!*whole) break;
      Bytes message = assembler.message();
      must(!message.empty() && message.size() <= kMostMessage);
      if (look) take_apart(message);
      for (std::byte byte : message) sum = sum * 31 + static_cast<uint64_t>(byte);
      sum = sum * 31 + 7;
    }
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes input = std::as_bytes(std::span(data, size));
  if (input.empty()) return 0;
  size_t piece = 1 + static_cast<size_t>(input[0]);
  uint64_t sum = put_together(input.subspan(1), piece, true);
  must(put_together(input.subspan(1), input.size(), false) == sum);
  take_apart(input);
  return 0;
}
