// Numbers as people type them. Thread safety: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dw {

// A decimal number from `low` to `high`, and nothing else.
[[nodiscard]] std::optional<uint64_t> parse_number(std::string_view text, uint64_t low,
                                                   uint64_t high);

// A number of bytes, or one with the suffix K, M or G (powers of 1024); at least 1.
[[nodiscard]] std::optional<uint64_t> parse_bytes(std::string_view text);

}  // namespace dw
