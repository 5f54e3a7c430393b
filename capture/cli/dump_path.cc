#include "capture/cli/dump_path.h"

#include <sys/stat.h>

#include <string_view>

#include "capture/target/file_target.h"

namespace dw {

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

}  // namespace dw
