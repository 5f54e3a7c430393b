#include "capture/report/json.h"

#include <doctest/doctest.h>

using namespace dw;

TEST_CASE("json: fields of every type, in order") {
  JsonObject inner;
  inner.add("n", uint64_t{18446744073709551615U});
  JsonObject object;
  object.add("text", "value").add("number", -1).add("yes", true).add("inner", inner);
  CHECK(object.text() ==
        R"({"text": "value", "number": -1, "yes": true, "inner": {"n": 18446744073709551615}})");
  CHECK(JsonObject().text() == "{}");
}

TEST_CASE("json: what would break out of a string is escaped") {
  JsonObject object;
  object.add("k\"", std::string_view("a\"b\\c\n\x01\0z", 9));
  CHECK(object.text() == R"({"k\"": "a\"b\\c\u000a\u0001\u0000z"})");
}

TEST_CASE("json: bytes that are no ASCII text become question marks") {
  JsonObject object;
  object.add("k", "\xff\x7f\xc3\xa4");
  CHECK(object.text() == R"({"k": "????"})");
}
