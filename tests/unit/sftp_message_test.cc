// SFTP's messages against the bytes that the draft prescribes.

#include "capture/target/ssh/sftp_message.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace dw;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// As the server sends it: without the length that the assembler has taken off.
Result<SftpReply> parsed(std::string_view message) { return parse_sftp_reply(bytes(message)); }

}  // namespace

TEST_CASE("sftp: requests") {
  CHECK(SftpMessage(SftpType::kInit).take(kSftpVersion) == "\0\0\0\5\1\0\0\0\3"sv);
  SftpMessage open(SftpType::kOpen);
  open.text("/f").number(kSftpRead | kSftpWrite | kSftpCreate | kSftpExclusive);
  open.mode_attribute(0600);
  CHECK(open.size() >= 27);
  CHECK(open.take(0x01020304) == "\0\0\0\x17\3\1\2\3\4\0\0\0\2/f\0\0\0\x2b\0\0\0\4\0\0\1\x80"sv);
  // What is written follows, and counts.
  SftpMessage write(SftpType::kWrite);
  write.text("h").number64(0x0102030405060708);
  CHECK(write.take(9, 256) == "\0\0\1\x16\6\0\0\0\x09\0\0\0\1h\1\2\3\4\5\6\7\x08\0\0\1\0"sv);
  SftpMessage cut(SftpType::kFsetstat);
  CHECK(cut.text("h").size_attribute(5).take(1) ==
        "\0\0\0\x16\x0a\0\0\0\1\0\0\0\1h\0\0\0\1\0\0\0\0\0\0\0\5"sv);
}

TEST_CASE("sftp: answers") {
  Result<SftpReply> status = parsed("\x65\0\0\0\7\0\0\0\4\0\0\0\1x\0\0\0\0"sv);
  CHECK(status->id == 7);
  CHECK(status->status == SftpStatus::kFailure);
  // Old servers send no text.
  CHECK(parsed("\x65\0\0\0\7\0\0\0\0"sv)->status == SftpStatus::kOk);
  CHECK(text(parsed("\x66\0\0\0\1\0\0\0\3abc"sv)->data) == "abc");
  CHECK(text(parsed("\x67\0\0\0\1\0\0\0\2de"sv)->data) == "de");
  Result<SftpReply> attributes =
      parsed("\x69\0\0\0\1\0\0\0\x07\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\x81\x80"sv);
  CHECK(attributes->attributes.size == 0x100000002);
  CHECK(attributes->attributes.permissions == 0100600);
  CHECK_FALSE(parsed("\x69\0\0\0\1\0\0\0\0"sv)->attributes.size.has_value());

  for (std::string_view bad : {""sv, "\x65"sv, "\x65\0\0\0\1\0\0"sv, "\x66\0\0\0\1\0\0\0\4abc"sv,
                               "\x67\0\0\0\1\xff\xff\xff\xff"sv, "\x69\0\0\0\1\0\0\0\1\0\0"sv,
                               "\x68\0\0\0\1\0\0\0\0"sv, "\x03\0\0\0\1\0\0\0\0"sv}) {
    CAPTURE(bad.size());
    CHECK_FALSE(parsed(bad).ok());
  }
}

TEST_CASE("sftp: what a server says that it can") {
  auto version = [](std::string_view message) { return parse_sftp_version(bytes(message)); };
  CHECK_FALSE(version("\2\0\0\0\3"sv)->fsync);
  CHECK(version("\2\0\0\0\3\0\0\0\x11"
                "fsync@openssh.com\0\0\0\1"
                "1"sv)
            ->fsync);
  // Another version of the extension is another extension.
  CHECK_FALSE(version("\2\0\0\0\3\0\0\0\x11"
                      "fsync@openssh.com\0\0\0\1"
                      "2"sv)
                  ->fsync);
  CHECK(version("\2\0\0\0\2"sv).error().kind() == ErrorKind::kUnsupported);
  CHECK_FALSE(version("\2\0\0\0\3\0\0\0\x11"
                      "fsync"sv)
                  .ok());
  CHECK_FALSE(version("\x65\0\0\0\3"sv).ok());
}

TEST_CASE("sftp: what only OpenSSH's own server can") {
  auto version = [](std::string_view message) {
    return parse_sftp_version(bytes(message)).value();
  };
  constexpr std::string_view kFsync =
      "\0\0\0\x11"
      "fsync@openssh.com\0\0\0\1"
      "1"sv;
  constexpr std::string_view kLimits =
      "\0\0\0\x12"
      "limits@openssh.com\0\0\0\1"
      "1"sv;
  std::string begin = "\2\0\0\0\3"s;
  CHECK_FALSE(version(begin).like_openssh());
  CHECK_FALSE(version(begin + std::string(kFsync)).like_openssh());
  CHECK_FALSE(version(begin + std::string(kLimits)).like_openssh());
  CHECK(version(begin + std::string(kFsync) + std::string(kLimits)).like_openssh());
}

TEST_CASE("sftp: messages come in pieces of any size") {
  std::string_view stream = "\0\0\0\3abc\0\0\0\1d\0\0\0\2ef"sv;
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    CAPTURE(piece);
    SftpAssembler assembler(8);
    std::string found;
    for (size_t at = 0; at < stream.size(); at += piece) {
      Bytes left = bytes(stream.substr(at, piece));
      while (!left.empty()) {
        if (assembler.take(left).value()) found += std::string(text(assembler.message())) + "|";
      }
    }
    CHECK(found == "abc|d|ef|");
  }
  SftpAssembler assembler(8);
  Bytes too_long = bytes("\0\0\0\x09"sv);
  CHECK_FALSE(assembler.take(too_long).ok());
  Bytes nothing = bytes("\0\0\0\0"sv);
  CHECK_FALSE(SftpAssembler(8).take(nothing).ok());
}
