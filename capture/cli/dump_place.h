// Where under a target directory a dump goes, and whether the same crash is there already.
#pragma once

#include <string>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/file_target.h"

namespace dw {

struct DumpPlace {
  Fd root;                     // the target directory
  std::string name;            // of the dump's directory in it
  bool saved_already = false;  // a complete dump of this very crash stands there
};

// Takes `name`, or `name`-2, -3 ... where that holds another crash or an incomplete dump. The same
// crash is known by its ELF notes: registers and VMCOREINFO with the time of the crash.
Result<DumpPlace> find_dump_place(const std::string& directory, const std::string& name,
                                  Bytes notes);

}  // namespace dw
