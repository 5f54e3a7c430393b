#include "capture/cli/saving.h"

#include <string>

#include "capture/format/writer_factory.h"
#include "capture/target/file_target.h"

namespace dw {

Saving saving_for(const SavingWish& wish, std::string_view target) {
  Saving saving;
  saving.format = target == kStdoutTarget ? DumpFormat::kStream : DumpFormat::kKdump;
  if (wish.format) saving.format = *wish.format;
  if (saving.format == DumpFormat::kElf) saving.compression.compression = Compression::kNone;
  if (wish.compression) saving.compression = *wish.compression;
  return saving;
}

Status check_saving(const SavingWish& wish, std::string_view target) {
  Saving saving = saving_for(wish, target);
  DW_TRY(check_target(saving.format, target != kStdoutTarget));
  return check_compression(saving.format, saving.compression.compression);
}

Result<SavingWish> parse_saving(std::string_view format, std::string_view compression) {
  SavingWish wish;
  if (!format.empty()) wish.format = parse_dump_format(format);
  if (!format.empty() && !wish.format)
    return Error(ErrorKind::kUsage, "no such format")
        .on(format)
        .hint("use kdump, stream, elf or flattened");
  if (compression.empty()) return wish;
  DW_ASSIGN(wish.compression, parse_compression(compression));
  return wish;
}

std::optional<Saving> saving_of(const JournalHeader& journal) {
  if (journal.format > static_cast<uint32_t>(DumpFormat::kElf) ||
      journal.compression > static_cast<uint32_t>(Compression::kZlib) || journal.dump_level > 31)
    return std::nullopt;
  Saving saving{.format = static_cast<DumpFormat>(journal.format),
                .compression = {.compression = static_cast<Compression>(journal.compression),
                                .level = journal.level}};
  std::string text(name_of(saving.compression.compression));
  if (saving.compression.compression != Compression::kNone)
    text += ":" + std::to_string(journal.level);
  bool possible = parse_compression(text).ok() &&
                  check_compression(saving.format, saving.compression.compression).ok();
  return possible ? std::optional(saving) : std::nullopt;
}

const char* file_name_of(const Saving& saving) {
  if (saving.format == DumpFormat::kElf) return kElfName;
  if (saving.format != DumpFormat::kStream) return kSealedName;
  return saving.compression.compression == Compression::kLz4 ? kLz4StreamName : kZstdStreamName;
}

}  // namespace dw
