// The formats a dump can have, by name. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dw {

enum class DumpFormat : uint8_t { kKdump, kStream, kElf, kFlattened };

[[nodiscard]] constexpr std::string_view name_of(DumpFormat format) {
  switch (format) {
    case DumpFormat::kKdump:
      return "kdump";
    case DumpFormat::kStream:
      return "stream";
    case DumpFormat::kElf:
      return "elf";
    case DumpFormat::kFlattened:
      return "flattened";
  }
  return "unknown";
}

[[nodiscard]] constexpr std::optional<DumpFormat> parse_dump_format(std::string_view name) {
  for (DumpFormat format :
       {DumpFormat::kKdump, DumpFormat::kStream, DumpFormat::kElf, DumpFormat::kFlattened})
    if (name == name_of(format)) return format;
  return std::nullopt;
}

}  // namespace dw
