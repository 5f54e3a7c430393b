// Where under a target directory a dump goes, and whether the same crash is there already, or part
// of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/cli/saving.h"
#include "capture/target/file_target.h"

namespace dw {

// An interrupted dump that can be continued, and how it was begun.
struct InterruptedDump {
  Saving saving;
  int dump_level = 0;
};

enum class Resume : uint8_t { kAuto, kNever };

// Which crash, and where it would go.
struct CrashToPlace {
  std::string directory;  // of the target; made if missing
  std::string name;       // of the dump's directory in it
  Bytes notes;            // of the vmcore
  uint64_t identity = 0;  // crash_identity()
};

struct DumpPlace {
  Fd root;                                     // the target directory
  std::string name;                            // of the dump's directory in it
  bool saved_already = false;                  // a complete dump of this very crash stands there
  std::optional<InterruptedDump> interrupted;  // what stands there otherwise
  std::vector<std::string> left_alone;         // paths of parts of this crash in other places
};

// Takes the crash's name, or NAME-2, -3 ... where that holds another crash. A complete dump of this
// crash comes before an incomplete one, and that before a free name. The same crash is known by its
// ELF notes: registers and VMCOREINFO with the time of the crash; a dump that can be continued by
// its journal. With kNever incomplete dumps are passed over, and so are those in `refused`.
Result<DumpPlace> find_dump_place(const CrashToPlace& crash, Resume resume,
                                  std::span<const std::string> refused = {});

}  // namespace dw
