#include "capture/report/json.h"

#include <doctest/doctest.h>

#include <limits>

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

TEST_CASE("json: fractions, and what is no number") {
  JsonObject object;
  object.add("third", 1.0 / 3).add("large", 2.5e12).add("none", 0.0);
  object.add("inf", std::numeric_limits<double>::infinity());
  object.add("nan", std::numeric_limits<double>::quiet_NaN());
  CHECK(object.text() ==
        R"({"third": 0.333333, "large": 2.5e+12, "none": 0, "inf": null, "nan": null})");
}

TEST_CASE("json: arrays of objects") {
  JsonArray array;
  CHECK(JsonObject().add("a", array).text() == R"({"a": []})");
  array.add(JsonObject().add("n", 1)).add(JsonObject());
  CHECK(JsonObject().add("a", array).text() == R"({"a": [{"n": 1}, {}]})");
}
