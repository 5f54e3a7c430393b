#include "capture/target/reserved_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "capture/base/fd.h"
#include "capture/target/file_steps.h"

namespace dw {

namespace {

Result<Fd> open_spare(int directory, const std::string& name) {
  return open_file_at(directory, name.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
}

// Behind what stands there: zeros, where space cannot be reserved otherwise, are cut off again when
// the content is written.
Status make_room(int fd, size_t bytes) {
  DW_ASSIGN(bool reserved, reserve_range(fd, 0, bytes));
  if (reserved) return {};
  DW_ASSIGN(uint64_t size, file_size(fd));
  return write_zeros(fd, size, bytes);
}

}  // namespace

Result<ReservedFile> ReservedFile::create(int directory, const char* name, size_t bytes) {
  ReservedFile file(directory, name, bytes);
  Status reserved = file.reserve(file.spare());
  Result<bool> exists = exists_in(directory, name);
  if (reserved.ok() && !exists.ok()) reserved = exists.error();
  if (reserved.ok() && !*exists) reserved = file.reserve(file.second_spare());
  if (reserved.ok()) return file;
  file.remove_spares();
  return reserved.error();
}

Status ReservedFile::reserve(const std::string& spare) const {
  DW_ASSIGN(Fd file, open_spare(directory_, spare));
  return make_room(file.get(), bytes_);
}

Status ReservedFile::put(Bytes content) {
  DW_TRY(write_whole(spare(), BytesContent(content)));
  DW_TRY(swap());
  DW_TRY(sync_fd(directory_, "cannot sync the directory"));
  // Without room for the next content this one is there all the same.
  (void)reserve(spare());
  return {};
}

Status ReservedFile::write_whole(const std::string& name, const FileContent& content) const {
  DW_ASSIGN(Fd file, open_spare(directory_, name));
  uint64_t written = 0;
  DW_TRY(content.copy_to([&](Bytes bytes) {
    return write_all_at(file.get(), bytes, std::exchange(written, written + bytes.size()));
  }));
  DW_ASSIGN(uint64_t size, file_size(file.get()));
  if (size > written) {
    if (::ftruncate(file.get(), static_cast<off_t>(written)) != 0)
      return Error::from_errno("cannot truncate");
    // Cutting it gave back the space behind the end, which the next content may need.
    (void)reserve_range(file.get(), 0, bytes_);
  }
  DW_TRY(sync_fd(file.get(), "cannot sync"));
  return file.close();
}

Status ReservedFile::swap() {
  DW_ASSIGN(bool exchanged, exchange_in(directory_, spare().c_str(), name_.c_str()));
  if (exchanged) return {};
  if (::renameat(directory_, spare().c_str(), directory_, name_.c_str()) != 0)
    return Error::from_errno("cannot rename");
  // There is one only if NAME was not there before.
  (void)::renameat(directory_, second_spare().c_str(), directory_, spare().c_str());
  return {};
}

Status ReservedFile::put_new(const FileContent& content, const StillWanted& wanted) const {
  DW_TRY(write_whole(once(), content));
  DW_TRY(check_wanted(wanted));
  if (::renameat(directory_, once().c_str(), directory_, name_.c_str()) != 0)
    return Error::from_errno("cannot rename");
  return sync_fd(directory_, "cannot sync the directory");
}

Status ReservedFile::put_once(int directory, const char* name, const FileContent& content,
                              const StillWanted& wanted) {
  ReservedFile file(directory, name, 0);
  Status done = file.put_new(content, wanted);
  if (!done.ok()) (void)::unlinkat(directory, file.once().c_str(), 0);
  return done;
}

void ReservedFile::remove_spares(int directory, const char* name) {
  ReservedFile(directory, name, 0).remove_spares();
}

void ReservedFile::remove_spares() {
  (void)::unlinkat(directory_, spare().c_str(), 0);
  (void)::unlinkat(directory_, second_spare().c_str(), 0);
  // Of a run that was cut off.
  (void)::unlinkat(directory_, once().c_str(), 0);
}

}  // namespace dw
