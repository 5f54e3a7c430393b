#include "capture/cli/take_off.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "capture/base/buffer.h"
#include "capture/base/fd.h"
#include "capture/cli/exit_status.h"
#include "capture/codec/zero.h"
#include "capture/journal/journal_reader.h"
#include "capture/report/message.h"
#include "capture/target/dump_names.h"
#include "capture/target/file_store.h"
#include "capture/target/output_file.h"
#include "capture/target/sums_file.h"

namespace dw {

namespace {

constexpr size_t kPieceBytes = 1 << 20;
// Of an ELF core that are left out if they are zeros, as its writer does: it is sparse.
constexpr size_t kHoleBytes = 4096;

using TakePiece = std::function<Status(uint64_t offset, Bytes bytes)>;

Status read_through(const FileView& file, uint64_t size, const TakePiece& take) {
  DW_ASSIGN(Buffer buffer, Buffer::allocate(kPieceBytes));
  for (uint64_t at = 0; at < size; at += kPieceBytes) {
    MutableBytes piece = buffer.bytes().first(std::min<uint64_t>(kPieceBytes, size - at));
    DW_TRY(read_exact_at(file, piece, at));
    DW_TRY(take(at, piece));
  }
  return {};
}

Status write_without_zeros(Target& target, uint64_t offset, Bytes bytes) {
  for (size_t at = 0; at < bytes.size(); at += kHoleBytes) {
    Bytes block = bytes.subspan(at, std::min(kHoleBytes, bytes.size() - at));
    if (!is_zero(block)) DW_TRY(target.write_at(offset + at, block));
  }
  return {};
}

Result<uint64_t> copy_dump(const RawContents& raw, Target& target) {
  DW_ASSIGN(ReadableFile dump, raw.open_file(raw.dump_name()));
  DW_ASSIGN(uint64_t size, file_size(dump.get()));
  bool sparse = raw.superblock().file == kElfName;
  if (sparse) DW_TRY(target.truncate(size));
  DW_TRY(read_through(dump.get(), size, [&](uint64_t offset, Bytes bytes) {
    return sparse ? write_without_zeros(target, offset, bytes) : target.append(offset, bytes);
  }));
  return size;
}

// Of a dump that was interrupted the list ends somewhere in its room: behind the last record that
// is whole.
Result<uint64_t> list_bytes(const RawContents& raw, const FileView& list) {
  if (raw.superblock().sums_certain) return file_size(list);
  Result<JournalReader> journal = JournalReader::open(list);
  if (!journal.ok()) return uint64_t{0};
  for (;;) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal->next());
    if (!entry) return journal->end();
  }
}

Status copy_list(const RawContents& raw, Target& target) {
  Result<ReadableFile> list = raw.open_file(kSumsName);
  if (!list.ok()) return list.error().errno_value() == ENOENT ? Status() : list.error();
  DW_ASSIGN(uint64_t size, list_bytes(raw, list->get()));
  return read_through(list->get(), size,
                      [&](uint64_t, Bytes bytes) { return target.append_sums(bytes); });
}

// The dump is worth more than what is beside it.
void copy_small_files(const RawContents& raw, DumpStore& store) {
  const RawSuperblock& superblock = raw.superblock();
  for (const RawFile& file : superblock.files) {
    if (file.name.empty()) continue;
    auto copy = [&]() -> Status {
      DW_ASSIGN(ReadableFile there, raw.open_file(file.name));
      DW_ASSIGN(Buffer content, Buffer::allocate(std::max<uint64_t>(file.length, 1)));
      DW_TRY(read_exact_at(there.get(), content.bytes().first(file.length), 0));
      return store.put_file(superblock.name, file.name.c_str(),
                            Bytes(content.bytes()).first(file.length));
    };
    Status copied = copy();
    if (!copied.ok()) print_warning(copied.error());
  }
}

Status finish_dump(const RawContents& raw, Target& target) {
  DW_TRY(copy_list(raw, target));
  DW_TRY(target.sync());
  DW_TRY(target.publish());
  return raw.superblock().state == RawState::kSealed ? target.seal() : Status();
}

Result<uint64_t> copy_to_directory(const RawContents& raw, DumpStore& store) {
  const RawSuperblock& superblock = raw.superblock();
  DW_ASSIGN(StandingDump standing, store.look(superblock.name));
  if (standing.standing != Standing::kNothing)
    return Error::from_errno("the dump exists", EEXIST)
        .on(store.display(superblock.name))
        .hint("name another directory, or remove it");
  DW_ASSIGN(std::unique_ptr<Target> target, store.create(superblock.name, superblock.file.c_str()));
  DW_ASSIGN(uint64_t size, copy_dump(raw, *target));
  DW_TRY(finish_dump(raw, *target));
  return size;
}

Result<uint64_t> copy_to_file(const RawContents& raw, const std::string& output) {
  DW_ASSIGN(OutputFile target, OutputFile::create(output, true));
  DW_ASSIGN(uint64_t size, copy_dump(raw, target));
  DW_TRY(target.commit());
  return size;
}

Result<int> take_off_to_directory(const RawContents& raw, const std::string& output) {
  DW_ASSIGN(std::unique_ptr<FileStore> store, FileStore::open(output));
  std::string folder = store->display(raw.superblock().name);
  if (raw.dump_name().empty()) {
    copy_small_files(raw, *store);
    print_message("warning: no dump is in %s, but what was told of the crash is in %s now",
                  raw.display().c_str(), folder.c_str());
    return kExitIncomplete;
  }
  DW_ASSIGN(uint64_t size, copy_to_directory(raw, *store));
  copy_small_files(raw, *store);
  print_message("%s/%s: %.1f MiB", folder.c_str(), raw.dump_name().c_str(),
                static_cast<double>(size) / (1 << 20));
  return kExitComplete;
}

}  // namespace

bool is_directory(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<int> take_off(const RawContents& raw, const std::string& output) {
  bool whole = raw.superblock().state == RawState::kSealed;
  bool to_directory = is_directory(output);
  bool only_files = raw.dump_name().empty() && !raw.superblock().files[0].name.empty();
  if (raw.dump_name().empty() && !(to_directory && only_files))
    return Error(ErrorKind::kBadInput, "no dump is on this partition, or it had just been begun")
        .on(raw.display());
  if (to_directory) {
    DW_ASSIGN(int status, take_off_to_directory(raw, output));
    if (status != kExitComplete) return status;
  } else {
    DW_ASSIGN(uint64_t size, copy_to_file(raw, output));
    print_message("%s: %.1f MiB", output.c_str(), static_cast<double>(size) / (1 << 20));
  }
  if (!whole) {
    print_message("warning: %s/%s is incomplete; what landed can be read", raw.display().c_str(),
                  raw.dump_name().c_str());
    return kExitIncomplete;
  }
  mark_taken_off(raw);
  return kExitComplete;
}

void mark_taken_off(const RawContents& raw) {
  if (raw.superblock().state != RawState::kSealed || raw.superblock().taken_off) return;
  Status marked = raw.mark_taken_off();
  if (marked.ok()) return;
  print_warning(marked.error());
  print_message("warning: %s does not say that it was taken off: the next crash is not saved there",
                raw.display().c_str());
}

}  // namespace dw
