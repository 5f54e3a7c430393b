#include "capture/base/result.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>

namespace dw {

namespace {

ErrorKind kind_of_errno(int errno_value) {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorKind::kNoSpace;
    case ENOMEM:
      return ErrorKind::kNoMemory;
    case ETIMEDOUT:
      return ErrorKind::kTimeout;
    default:
      return ErrorKind::kIo;
  }
}

const char* name_of(Where where) {
  switch (where) {
    case Where::kOffset:
      return "offset";
    case Where::kPfn:
      return "pfn";
    case Where::kLine:
      return "line";
    case Where::kAddress:
      return "address";
    case Where::kNowhere:
      break;
  }
  return nullptr;
}

// snprintf that appends and never runs over; `used` stays below `size`.
template <typename... Args>
void append(char* out, size_t size, size_t& used, const char* format, Args... args) {
  int n = std::snprintf(out + used, size - used, format, args...);
  if (n > 0) used = std::min(used + static_cast<size_t>(n), size - 1);
}

}  // namespace

Error Error::from_errno(const char* what) { return from_errno(what, errno); }

Error Error::from_errno(const char* what, int errno_value) {
  Error error(kind_of_errno(errno_value), what);
  error.errno_ = errno_value;
  return error;
}

Error& Error::on(std::string_view subject) {
  if (subject.size() > sizeof(subject_)) subject.remove_prefix(subject.size() - sizeof(subject_));
  std::memcpy(subject_, subject.data(), subject.size());
  subject_length_ = static_cast<uint8_t>(subject.size());
  return *this;
}

void Error::format(char* out, size_t size) const {
  DW_CHECK(size > 0);
  size_t used = 0;
  out[0] = '\0';
  if (subject_length_ > 0)
    append(out, size, used, "%.*s: ", static_cast<int>(subject_length_), subject_);
  append(out, size, used, "%s", what_);
  if (const char* name = name_of(where_)) {
    const char* number = where_ == Where::kLine ? " at %s %" PRIu64 : " at %s 0x%" PRIx64;
    append(out, size, used, number, name, position_);
  }
  if (errno_ != 0) append(out, size, used, ": %s", std::strerror(errno_));
  if (hint_ != nullptr) append(out, size, used, "; %s", hint_);
}

}  // namespace dw
