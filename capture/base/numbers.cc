#include "capture/base/numbers.h"

#include <charconv>

namespace dw {

std::optional<uint64_t> parse_number(std::string_view text, uint64_t low, uint64_t high) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || stop != end || number < low || number > high) return std::nullopt;
  return number;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view kSuffixes = "KMG";
  unsigned shift = 0;
  if (!text.empty()) {
    if (size_t at = kSuffixes.find(text.back()); at != kSuffixes.npos) {
      shift = 10 * (static_cast<unsigned>(at) + 1);
      text.remove_suffix(1);
    }
  }
  auto number = parse_number(text, 1, UINT64_MAX >> shift);
  if (number) *number <<= shift;
  return number;
}

}  // namespace dw
