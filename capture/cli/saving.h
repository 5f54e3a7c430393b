// What is written to a target: as asked for, or what suits it. Thread safety: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/format/dump_format.h"
#include "capture/journal/journal_format.h"

namespace dw {

inline constexpr std::string_view kStdoutTarget = "-";

struct Saving {
  DumpFormat format = DumpFormat::kKdump;
  CompressionOptions compression;

  friend bool operator==(const Saving&, const Saving&) = default;
};

// What was asked for; nothing leaves the choice to us.
struct SavingWish {
  std::optional<DumpFormat> format;
  std::optional<CompressionOptions> compression;
};

// A kdump file with zstd; a stream where only bytes in order go; an ELF core is not compressed.
[[nodiscard]] Saving saving_for(const SavingWish& wish, std::string_view target);

// Error kUsage, with what to do, if the target cannot take the format or the format has no such
// compression.
Status check_saving(const SavingWish& wish, std::string_view target);

// From the values of the configuration, which may be empty. Error kUsage.
Result<SavingWish> parse_saving(std::string_view format, std::string_view compression);

// How a dump is saved that has this journal; nothing if it cannot be one of ours.
[[nodiscard]] std::optional<Saving> saving_of(const JournalHeader& journal);

// The dump's name in its directory.
[[nodiscard]] const char* file_name_of(const Saving& saving);

}  // namespace dw
