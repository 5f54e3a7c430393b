#include "capture/base/result.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "tests/unit/support/text.h"

using namespace dw;
using dw::test::text_of;

TEST_CASE("result: an error says what, on what, where, why and what to do") {
  Error error = Error::from_errno("cannot read", EIO);
  error.on("/proc/vmcore").at(Where::kOffset, 0x1000).hint("try again");
  // The C libraries do not agree on the words for EIO.
  CHECK(text_of(error) == std::string("/proc/vmcore: cannot read at offset 0x1000: ") +
                              std::strerror(EIO) + "; try again");
}

TEST_CASE("result: an error with nothing but what it is") {
  CHECK(text_of(Error(ErrorKind::kBadInput, "not an ELF file")) == "not an ELF file");
}

TEST_CASE("result: lines are decimal, other places hexadecimal") {
  Error error(ErrorKind::kUsage, "bad");
  CHECK(text_of(error.at(Where::kLine, 17)) == "bad at line 17");
  CHECK(text_of(error.at(Where::kPfn, 17)) == "bad at pfn 0x11");
  CHECK(text_of(error.at(Where::kAddress, ~uint64_t{0})) == "bad at address 0xffffffffffffffff");
  CHECK(text_of(error.at(Where::kNowhere, 17)) == "bad");
}

TEST_CASE("result: of a subject that is too long the end is kept") {
  std::string path = "/start/" + std::string(300, 'x') + "/end";
  Error error(ErrorKind::kIo, "cannot open");
  error.on(path);
  CHECK(path.ends_with(error.subject()));
  CHECK(error.subject().size() == 159);
  CHECK(error.subject().ends_with("/end"));
}

TEST_CASE("result: format() cuts at any size and always ends the text") {
  Error error = Error::from_errno("cannot write", ENOSPC).on("/a").hint("free some space");
  std::string whole = text_of(error);
  for (size_t size = 1; size <= whole.size() + 2; ++size) {
    std::string out(size + 8, '#');
    error.format(out.data(), size);
    std::string text = out.c_str();
    CHECK(text == whole.substr(0, size - 1));
    CHECK(out.substr(size) == "########");
  }
}

TEST_CASE("result: errno decides the kind") {
  for (int full : {ENOSPC, EDQUOT, EFBIG})
    CHECK(Error::from_errno("x", full).kind() == ErrorKind::kNoSpace);
  CHECK(Error::from_errno("x", ENOMEM).kind() == ErrorKind::kNoMemory);
  CHECK(Error::from_errno("x", ETIMEDOUT).kind() == ErrorKind::kTimeout);
  CHECK(Error::from_errno("x", EIO).kind() == ErrorKind::kIo);
  errno = EROFS;
  CHECK(Error::from_errno("x").errno_value() == EROFS);
}

namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error(ErrorKind::kBadInput, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  DW_ASSIGN(int first, half(n));
  DW_TRY(half(first));
  return first / 2;
}

}  // namespace

TEST_CASE("result: DW_TRY and DW_ASSIGN pass on the first error") {
  CHECK(quarter(8).value() == 2);
  CHECK(text_of(quarter(6)) == "odd");
  CHECK_FALSE(quarter(3).ok());
}
