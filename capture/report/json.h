// A JSON object, built field by field; enough for reports. Strings are escaped; bytes that are not
// UTF-8 text become '?'. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dw {

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view value);
  JsonObject& add(std::string_view key, const char* value) {
    return add(key, std::string_view(value));
  }
  JsonObject& add(std::string_view key, uint64_t value);
  JsonObject& add(std::string_view key, int value);
  JsonObject& add(std::string_view key, bool value);
  JsonObject& add(std::string_view key, const JsonObject& value);

  // `object` is the text of a JSON object, as text() gives it.
  JsonObject& add_object_text(std::string_view key, std::string_view object);

  // One line, without a line end.
  [[nodiscard]] std::string text() const { return "{" + fields_ + "}"; }

 private:
  void add_raw(std::string_view key, std::string_view value);

  std::string fields_;
};

}  // namespace dw
