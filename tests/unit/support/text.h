// What an Error says, as the user would see it.
#pragma once

#include <string>

#include "capture/base/result.h"

namespace dw::test {

inline std::string text_of(const Error& error) {
  char text[512];
  error.format(text, sizeof(text));
  return text;
}

template <typename T>
std::string text_of(const Result<T>& result) {
  return result.ok() ? "no error" : text_of(result.error());
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dw::test
