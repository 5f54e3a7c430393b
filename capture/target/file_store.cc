#include "capture/target/file_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "capture/target/file_steps.h"
#include "capture/target/file_target.h"
#include "capture/target/reserved_file.h"

namespace dw {

namespace {

Result<std::unique_ptr<Target>> as_target(Result<FileTarget>&& target) {
  if (!target.ok()) return target.error();
  return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(*target)));
}

}  // namespace

Result<std::unique_ptr<FileStore>> FileStore::open(const std::string& directory,
                                                   const std::string& shown) {
  Result<Fd> root = FileTarget::open_root(directory);
  if (!root.ok()) return shown == directory ? root.error() : Error(root.error()).on(shown);
  return std::unique_ptr<FileStore>(new FileStore(directory, shown, std::move(*root)));
}

Result<StandingDump> FileStore::look(const std::string& name) {
  return FileTarget::look(root_.get(), name);
}

Result<std::unique_ptr<Target>> FileStore::create(const std::string& name, const char* file) {
  return as_target(FileTarget::create(root_.get(), name, display(name), file));
}

Result<std::unique_ptr<Target>> FileStore::reopen(const std::string& name, const char* file) {
  return as_target(FileTarget::reopen(root_.get(), name, display(name), file));
}

// Not blocked by what only has the name of a file.
Result<std::unique_ptr<ByteSource>> FileStore::open_file(const std::string& name,
                                                         const std::string& file) {
  DW_ASSIGN(Fd fd, open_file_at(root_.get(), (name + "/" + file).c_str(), O_RDONLY | O_NONBLOCK));
  DW_ASSIGN(std::unique_ptr<FileSource> source, FileSource::open(std::move(fd)));
  return std::unique_ptr<ByteSource>(std::move(source));
}

Status FileStore::put_content(const std::string& name, const char* file, const FileContent& content,
                              const StillWanted& wanted) {
  auto put = [&]() -> Status {
    if (::mkdirat(root_.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      return Error::from_errno("cannot make the folder");
    DW_ASSIGN(Fd folder,
              open_file_at(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    DW_TRY(sync_fd(root_.get(), "cannot sync the directory"));
    return ReservedFile::put_once(folder.get(), file, content, wanted);
  };
  Status done = put();
  if (done.ok()) return done;
  return with_hint(Error(done.error()).on(display(name) + "/" + file));
}

void FileStore::remove_leftovers(const std::string& name, const std::string& /*dump*/,
                                 std::span<const char* const> files) {
  Result<Fd> folder = open_file_at(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return;
  for (const char* file : files) ReservedFile::remove_spares(folder->get(), file);
}

Status FileStore::seal_finished(const std::string& name, const std::string& file) {
  return FileTarget::seal_finished(root_.get(), name, file);
}

}  // namespace dw
