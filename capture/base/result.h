// Result<T> and Error: how every function that can fail says so.
//
// An Error is a value of fixed size that allocates nothing, so it can be made when memory is gone.
// It says what failed (a literal), on what (a name, cut if long), where (offset, pfn, line), the
// errno if there was one, and what the user can do (a literal). Only the command layer prints it.
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "capture/base/check.h"

namespace dw {

enum class ErrorKind : uint8_t {
  kUsage,        // the command line or the configuration is wrong
  kBadInput,     // a file is not what it should be
  kUnsupported,  // a file is valid, but not of a kind we read
  kIo,           // the operating system refused
  kNoSpace,      // the target is full
  kNoMemory,
  kTimeout,
  kLost,  // a connection broke, or could not be made: trying again may help
};

enum class Where : uint8_t { kNowhere, kOffset, kPfn, kLine, kAddress };

class [[nodiscard]] Error {
 public:
  // `what` must be a string literal: a clause without a final stop ("cannot open").
  constexpr Error(ErrorKind kind, const char* what) : what_(what), kind_(kind) {}

  // Reads errno. ENOSPC, EDQUOT and EFBIG become kNoSpace, ENOMEM kNoMemory.
  static Error from_errno(const char* what);
  static Error from_errno(const char* what, int errno_value);

  // What it happened to, such as a path. The last bytes are kept if it is too long.
  Error& on(std::string_view subject);
  Error& at(Where where, uint64_t position) {
    where_ = where;
    position_ = position;
    return *this;
  }
  // An errno that says more, where the kind is known already.
  Error& because(int errno_value) {
    errno_ = errno_value;
    return *this;
  }
  // A literal: what the user can do about it.
  Error& hint(const char* text) {
    hint_ = text;
    return *this;
  }

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] int errno_value() const { return errno_; }
  [[nodiscard]] const char* what() const { return what_; }
  [[nodiscard]] Where where() const { return where_; }
  [[nodiscard]] uint64_t position() const { return position_; }
  [[nodiscard]] std::string_view subject() const { return {subject_, subject_length_}; }

  // One line: "SUBJECT: WHAT at offset N: ERRNO TEXT; HINT". Cut at `size`, always terminated.
  void format(char* out, size_t size) const;

 private:
  const char* what_;
  const char* hint_ = nullptr;
  uint64_t position_ = 0;
  int errno_ = 0;
  ErrorKind kind_;
  Where where_ = Where::kNowhere;
  uint8_t subject_length_ = 0;
  char subject_[159] = {};
};

// Trying again on a new connection may help.
[[nodiscard]] inline bool is_lost(const Error& error) {
  return error.kind() == ErrorKind::kLost || error.kind() == ErrorKind::kTimeout;
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(const Error& error) : error_(error) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] const Error& error() const {
    DW_CHECK(!ok());
    return *error_;
  }
  [[nodiscard]] T& value() {
    DW_CHECK(ok());
    return *value_;
  }
  [[nodiscard]] const T& value() const {
    DW_CHECK(ok());
    return *value_;
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }

 private:
  std::optional<T> value_;
  std::optional<Error> error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(const Error& error) : error_(error) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  [[nodiscard]] const Error& error() const {
    DW_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// Returns the error of `expression` (a Result) from the enclosing function.
#define DW_TRY(expression)                                                   \
  do {                                                                       \
    if (auto dw_try_result = (expression); !dw_try_result.ok()) [[unlikely]] \
      return dw_try_result.error();                                          \
  } while (false)

#define DW_CONCAT_(a, b) a##b
#define DW_CONCAT(a, b) DW_CONCAT_(a, b)

// DW_ASSIGN(auto x, f()): x becomes the value of f(), or f()'s error is returned.
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define DW_ASSIGN(declaration, expression)                \
  auto DW_CONCAT(dw_result_, __LINE__) = (expression);    \
  if (!DW_CONCAT(dw_result_, __LINE__).ok()) [[unlikely]] \
    return DW_CONCAT(dw_result_, __LINE__).error();       \
  declaration = std::move(DW_CONCAT(dw_result_, __LINE__).value())
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace dw
