// JSON objects and arrays, built piece by piece; enough for reports. Strings are escaped; bytes
// that are not UTF-8 text become '?'. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dw {

class JsonArray;

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view value);
  JsonObject& add(std::string_view key, const char* value) {
    return add(key, std::string_view(value));
  }
  JsonObject& add(std::string_view key, uint64_t value);
  JsonObject& add(std::string_view key, int value);
  JsonObject& add(std::string_view key, bool value);
  // Six significant digits; null if it is infinite or not a number.
  JsonObject& add(std::string_view key, double value);
  JsonObject& add(std::string_view key, const JsonObject& value);
  JsonObject& add(std::string_view key, const JsonArray& value);

  // `object` is the text of a JSON object, as text() gives it.
  JsonObject& add_object_text(std::string_view key, std::string_view object);

  // One line, without a line end.
  [[nodiscard]] std::string text() const { return "{" + fields_ + "}"; }

 private:
  void add_raw(std::string_view key, std::string_view value);

  std::string fields_;
};

class JsonArray {
 public:
  JsonArray& add(const JsonObject& value);

  [[nodiscard]] std::string text() const { return "[" + elements_ + "]"; }

 private:
  std::string elements_;
};

}  // namespace dw
