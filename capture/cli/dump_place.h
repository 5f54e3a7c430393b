// Where under a target directory a dump goes, and whether the same crash is there already, or part
// of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/journal/journal_format.h"
#include "capture/target/file_target.h"

namespace dw {

// An interrupted dump that can be continued.
struct InterruptedDump {
  std::string file;  // its name in the dump's directory
  JournalHeader journal;
};

struct DumpPlace {
  Fd root;                                     // the target directory
  std::string name;                            // of the dump's directory in it
  bool saved_already = false;                  // a complete dump of this very crash stands there
  std::optional<InterruptedDump> interrupted;  // what stands there otherwise
};

enum class Resume : uint8_t { kAuto, kNever };

// Takes `name`, or `name`-2, -3 ... where that holds another crash. A complete dump of this crash
// comes before an incomplete one, and that before a free name. The same crash is known by its ELF
// notes: registers and VMCOREINFO with the time of the crash; a dump that can be continued by
// its journal with that `identity` (crash_identity()). With kNever incomplete dumps are passed
// over.
Result<DumpPlace> find_dump_place(const std::string& directory, const std::string& name,
                                  Bytes notes, uint64_t identity, Resume resume);

}  // namespace dw
