#include "capture/report/json.h"

#include <cmath>
#include <cstdio>

namespace dw {

namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
      result += escape;
    } else {
      result += byte < 0x7f ? c : '?';
    }
  }
  return result + '"';
}

}  // namespace

void JsonObject::add_raw(std::string_view key, std::string_view value) {
  if (!fields_.empty()) fields_ += ", ";
  fields_ += quoted(key);
  fields_ += ": ";
  fields_ += value;
}

JsonObject& JsonObject::add(std::string_view key, std::string_view value) {
  add_raw(key, quoted(value));
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, uint64_t value) {
  add_raw(key, std::to_string(value));
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, int value) {
  add_raw(key, std::to_string(value));
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, bool value) {
  add_raw(key, value ? "true" : "false");
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  add_raw(key, std::isfinite(value) ? text : "null");
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, const JsonObject& value) {
  return add_object_text(key, value.text());
}

JsonObject& JsonObject::add(std::string_view key, const JsonArray& value) {
  add_raw(key, value.text());
  return *this;
}

JsonObject& JsonObject::add_object_text(std::string_view key, std::string_view object) {
  add_raw(key, object);
  return *this;
}

JsonArray& JsonArray::add(const JsonObject& value) {
  if (!elements_.empty()) elements_ += ", ";
  elements_ += value.text();
  return *this;
}

}  // namespace dw
