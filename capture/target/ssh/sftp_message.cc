#include "capture/target/ssh/sftp_message.h"

#include <algorithm>
#include <limits>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint64_t kReadOnlyFlag = 1;
// Flags of attributes.
constexpr uint32_t kHasSize = 1;
constexpr uint32_t kHasOwner = 2;
constexpr uint32_t kHasPermissions = 4;

Error bad() { return Error(ErrorKind::kBadInput, "the server's answer is no valid SFTP"); }

template <typename T>
T big_endian(T value) {
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  return __builtin_bswap32(static_cast<uint32_t>(value));
}

template <typename T>
void append(std::string& to, T value) {
  T swapped = big_endian(value);
  to.append(reinterpret_cast<const char*>(&swapped), sizeof(T));
}

// Reads from the front, and remembers if something was not there.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}

  uint8_t byte() { return fixed<uint8_t>(); }
  uint32_t number() { return big_endian(fixed<uint32_t>()); }
  uint64_t number64() { return big_endian(fixed<uint64_t>()); }
  Bytes text() {
    uint32_t size = number();
    if (size > left_.size()) return fail();
    Bytes bytes = left_.first(size);
    left_ = left_.subspan(size);
    return bytes;
  }
  Bytes rest() { return std::exchange(left_, {}); }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool empty() const { return left_.empty(); }

 private:
  template <typename T>
  T fixed() {
    if (sizeof(T) > left_.size()) {
      fail();
      return 0;
    }
    T value = load<T>(left_, 0);
    left_ = left_.subspan(sizeof(T));
    return value;
  }
  Bytes fail() {
    failed_ = true;
    return std::exchange(left_, {});
  }

  Bytes left_;
  bool failed_ = false;
};

// Times and extensions behind them are of no interest.
SftpAttributes parse_attributes(Reader& reader) {
  SftpAttributes attributes;
  uint32_t flags = reader.number();
  if ((flags & kHasSize) != 0) attributes.size = reader.number64();
  if ((flags & kHasOwner) != 0) reader.number64();
  if ((flags & kHasPermissions) != 0) attributes.permissions = reader.number();
  return attributes;
}

bool is(Bytes text, std::string_view name) {
  return std::ranges::equal(text, std::as_bytes(std::span(name)));
}

void note_extension(Bytes name, Bytes version, SftpAbilities& abilities) {
  if (is(name, "fsync@openssh.com")) abilities.fsync = is(version, "1");
  if (is(name, "posix-rename@openssh.com")) abilities.posix_rename = is(version, "1");
  if (is(name, "statvfs@openssh.com")) abilities.statvfs = is(version, "2");
  if (is(name, "limits@openssh.com")) abilities.limits = is(version, "1");
}

void parse_body(Reader& reader, SftpReply& reply) {
  switch (reply.type) {
    case SftpType::kStatus:  // a message and its language may follow
      reply.status = static_cast<SftpStatus>(reader.number());
      return;
    case SftpType::kHandle:
    case SftpType::kData:
      reply.data = reader.text();
      return;
    case SftpType::kAttrs:
      reply.attributes = parse_attributes(reader);
      return;
    default:
      reply.data = reader.rest();
  }
}

bool is_expected(SftpType type) {
  return type == SftpType::kStatus || type == SftpType::kHandle || type == SftpType::kData ||
         type == SftpType::kAttrs || type == SftpType::kExtendedReply;
}

}  // namespace

SftpMessage::SftpMessage(SftpType type) {
  number(0);
  bytes_.push_back(static_cast<char>(type));
  number(0);
}

SftpMessage& SftpMessage::number(uint32_t value) {
  append(bytes_, value);
  return *this;
}

SftpMessage& SftpMessage::number64(uint64_t value) {
  append(bytes_, value);
  return *this;
}

SftpMessage& SftpMessage::text(std::string_view bytes) {
  number(static_cast<uint32_t>(bytes.size()));
  bytes_.append(bytes);
  return *this;
}

std::string SftpMessage::take(uint32_t id, size_t behind) {
  if (behind > 0) number(static_cast<uint32_t>(behind));
  std::string head;
  append(head, static_cast<uint32_t>(bytes_.size() - sizeof(uint32_t) + behind));
  head.push_back(bytes_[head.size()]);
  append(head, id);
  bytes_.replace(0, head.size(), head);
  return std::move(bytes_);
}

Result<SftpReply> parse_sftp_reply(Bytes message) {
  Reader reader(message);
  SftpReply reply;
  reply.type = static_cast<SftpType>(reader.byte());
  reply.id = reader.number();
  if (!is_expected(reply.type)) return bad();
  parse_body(reader, reply);
  if (reader.failed()) return bad();
  return reply;
}

Result<SftpAbilities> parse_sftp_version(Bytes message) {
  Reader reader(message);
  if (static_cast<SftpType>(reader.byte()) != SftpType::kVersion) return bad();
  uint32_t version = reader.number();
  SftpAbilities abilities;
  while (!reader.failed() && !reader.empty()) {
    Bytes name = reader.text();
    note_extension(name, reader.text(), abilities);
  }
  if (reader.failed()) return bad();
  if (version != kSftpVersion)
    return Error(ErrorKind::kUnsupported, "the server does not speak SFTP version 3");
  return abilities;
}

Result<SftpLimits> parse_sftp_limits(Bytes data) {
  Reader reader(data);
  SftpLimits limits;
  reader.number64();  // of a packet
  limits.read = reader.number64();
  limits.write = reader.number64();
  if (reader.failed()) return bad();
  return limits;
}

Result<SftpSpace> parse_sftp_space(Bytes data) {
  Reader reader(data);
  reader.number64();  // f_bsize
  uint64_t fragment = reader.number64();
  reader.number64();  // f_blocks
  reader.number64();  // f_bfree
  uint64_t available = reader.number64();
  reader.number64();  // f_files
  reader.number64();  // f_ffree
  SftpSpace space;
  space.free_files = reader.number64();
  reader.number64();  // f_fsid
  space.read_only = (reader.number64() & kReadOnlyFlag) != 0;
  if (reader.failed()) return bad();
  space.free_bytes =
      checked_mul(available, fragment).value_or(std::numeric_limits<uint64_t>::max());
  return space;
}

SftpAssembler::SftpAssembler(size_t most_bytes) : buffer_(kHead + most_bytes) {}

Result<bool> SftpAssembler::take(Bytes& bytes) {
  if (whole_) used_ = size_ = 0;
  whole_ = false;
  while (!bytes.empty()) {
    size_t wanted = used_ < kHead ? kHead : kHead + size_;
    size_t n = std::min(bytes.size(), wanted - used_);
    std::ranges::copy(bytes.first(n), buffer_.begin() + static_cast<ptrdiff_t>(used_));
    used_ += n;
    bytes = bytes.subspan(n);
    if (used_ == kHead && wanted == kHead) {
      size_ = big_endian(load<uint32_t>(buffer_, 0));
      if (size_ == 0 || size_ > buffer_.size() - kHead) return bad();
    } else if (used_ == wanted) {
      whole_ = true;
      return true;
    }
  }
  return false;
}

}  // namespace dw
