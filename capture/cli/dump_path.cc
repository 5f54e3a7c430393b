#include "capture/cli/dump_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>

#include "capture/target/address.h"
#include "capture/target/dump_names.h"

namespace dw {

namespace {

Result<std::string> find_dump(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return Error::from_errno("cannot open").on(path);
  if (!S_ISDIR(status.st_mode)) return path;
  for (std::string_view suffix : {std::string_view(), kIncompleteSuffix}) {
    for (const char* name : kDumpNames) {
      std::string inside = path + "/" + name + std::string(suffix);
      if (::stat(inside.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return inside;
    }
  }
  return Error(ErrorKind::kBadInput, "no dump in this directory")
      .on(path)
      .hint("name the directory that holds the file vmcore, or the file itself");
}

Result<NamedDump> open_on_partition(const std::string& argument) {
  DW_ASSIGN(RawContents raw, open_raw_argument(argument));
  if (raw.dump_name().empty())
    return Error(ErrorKind::kBadInput, "no dump is on this partition, or it had just been begun")
        .on(raw.display());
  DW_ASSIGN(ReadableFile file, raw.open_file(raw.dump_name()));
  std::string path = raw.display() + "/" + raw.dump_name();
  return NamedDump{.path = std::move(path), .file = std::move(file), .raw = std::move(raw)};
}

}  // namespace

bool is_raw_argument(const std::string& argument) { return argument.starts_with("raw:"); }

Result<RawContents> open_raw_argument(const std::string& argument) {
  DW_ASSIGN(TargetAddress address, parse_target_address(argument));
  return RawContents::open(address.path);
}

bool NamedDump::named_whole() const { return !path.ends_with(kIncompleteSuffix); }

Result<ReadableFile> NamedDump::open_beside(const std::string& name) const {
  if (raw) return raw->open_file(name);
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  DW_ASSIGN(Fd fd, open_file((folder + name).c_str(), O_RDONLY | O_NONBLOCK));
  return ReadableFile(std::move(fd));
}

Result<NamedDump> open_named_dump(const std::string& argument) {
  if (is_raw_argument(argument)) return open_on_partition(argument);
  DW_ASSIGN(std::string path, find_dump(argument));
  DW_ASSIGN(Fd fd, open_file(path.c_str(), O_RDONLY | O_NONBLOCK));
  return NamedDump{.path = std::move(path), .file = std::move(fd), .raw = {}};
}

}  // namespace dw
