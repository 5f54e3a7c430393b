// What the files of a dump are called, by its format and its state. Thread safety: constants.
#pragma once

#include <string_view>

namespace dw {

// The same for every format: it is what keeps two captures out of one directory.
inline constexpr const char* kStagedName = "vmcore.new";
inline constexpr std::string_view kIncompleteSuffix = ".incomplete";

// What a whole dump is called, by its format.
inline constexpr const char* kSealedName = "vmcore";
inline constexpr const char* kIncompleteName = "vmcore.incomplete";
inline constexpr const char* kZstdStreamName = "vmcore.zst";
inline constexpr const char* kLz4StreamName = "vmcore.lz4";
inline constexpr const char* kElfName = "vmcore.elf";
inline constexpr const char* kDumpNames[] = {kSealedName, kZstdStreamName, kLz4StreamName,
                                             kElfName};

}  // namespace dw
