// The messages of SFTP version 3: requests as they are sent, answers as they are taken apart.
//
// Format: draft-ietf-secsh-filexfer-02, and the file PROTOCOL of OpenSSH for the extensions.
// Numbers are big-endian. What comes from the server is not trusted. Thread safety: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

enum class SftpType : uint8_t {
  kInit = 1,
  kVersion = 2,
  kOpen = 3,
  kClose = 4,
  kRead = 5,
  kWrite = 6,
  kLstat = 7,
  kFstat = 8,
  kFsetstat = 10,
  kRemove = 13,
  kMkdir = 14,
  kRmdir = 15,
  kStat = 17,
  kRename = 18,
  kStatus = 101,
  kHandle = 102,
  kData = 103,
  kName = 104,
  kAttrs = 105,
  kExtended = 200,
  kExtendedReply = 201,
};

// Of an answer of type kStatus. Numbers that we do not know stay as they are.
enum class SftpStatus : uint32_t {
  kOk = 0,
  kEof = 1,
  kNoSuchFile = 2,
  kPermissionDenied = 3,
  kFailure = 4,  // whatever has no number: a full disk, a name that is taken ...
  kBadMessage = 5,
  kUnsupported = 8,
};

inline constexpr uint32_t kSftpVersion = 3;

// Flags of kOpen.
inline constexpr uint32_t kSftpRead = 1;
inline constexpr uint32_t kSftpWrite = 2;
inline constexpr uint32_t kSftpCreate = 8;
inline constexpr uint32_t kSftpExclusive = 0x20;

// One request, from its length on.
class SftpMessage {
 public:
  explicit SftpMessage(SftpType type);

  SftpMessage& number(uint32_t value);
  SftpMessage& number64(uint64_t value);
  // A handle, a path, a name; with its length.
  SftpMessage& text(std::string_view bytes);
  // Attributes: none, the size, the permissions.
  SftpMessage& no_attributes() { return number(0); }
  SftpMessage& size_attribute(uint64_t size) { return number(1).number64(size); }
  SftpMessage& mode_attribute(uint32_t mode) { return number(4).number(mode); }

  // Its bytes at most, without `behind`.
  [[nodiscard]] size_t size() const { return bytes_.size() + sizeof(uint32_t); }
  // Once. `id`: kInit has the version there. `behind`: bytes that the sender puts behind it, as the
  // content of the last text.
  [[nodiscard]] std::string take(uint32_t id, size_t behind = 0);

 private:
  std::string bytes_;
};

struct SftpAttributes {
  std::optional<uint64_t> size;
  std::optional<uint32_t> permissions;  // with the type of the file, as in st_mode
};

struct SftpReply {
  SftpType type = SftpType::kStatus;
  uint32_t id = 0;
  SftpStatus status = SftpStatus::kOk;  // of kStatus
  Bytes data;                           // of kHandle, kData, kExtendedReply; in the message
  SftpAttributes attributes;            // of kAttrs
};

// `message` without its length. Error kBadInput. Answers that we never ask for are an error too.
Result<SftpReply> parse_sftp_reply(Bytes message);

// What the server says that it can.
struct SftpAbilities {
  bool fsync = false;
  bool posix_rename = false;
  bool statvfs = false;
  bool limits = false;

  // Has both of two extensions that hardly any server but OpenSSH's sftp-server has.
  [[nodiscard]] bool like_openssh() const { return fsync && limits; }
};

// The answer to kInit. Error kUnsupported: another version.
Result<SftpAbilities> parse_sftp_version(Bytes message);

// The answer to limits@openssh.com: 0 where there is none.
struct SftpLimits {
  uint64_t read = 0;
  uint64_t write = 0;
};
Result<SftpLimits> parse_sftp_limits(Bytes data);

// The answer to statvfs@openssh.com.
struct SftpSpace {
  uint64_t free_bytes = 0;  // for this user
  uint64_t free_files = 0;
  bool read_only = false;
};
Result<SftpSpace> parse_sftp_space(Bytes data);

// Puts messages together from what comes in pieces of any size.
class SftpAssembler {
 public:
  // `most_bytes` of a message, without its length.
  explicit SftpAssembler(size_t most_bytes);

  // Takes bytes up to the end of a message from the front of `bytes`. True if one is whole: it is
  // message() until the next call. Error kBadInput if it would be too long.
  Result<bool> take(Bytes& bytes);
  [[nodiscard]] Bytes message() const { return Bytes(buffer_).subspan(kHead, size_); }

  [[nodiscard]] size_t memory_bytes() const { return buffer_.size(); }

 private:
  static constexpr size_t kHead = 4;

  std::vector<std::byte> buffer_;
  size_t used_ = 0;
  size_t size_ = 0;  // of the message, once its length is there
  bool whole_ = false;
};

}  // namespace dw
