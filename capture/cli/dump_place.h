// Where in a store a dump goes, and whether the same crash is there already, or part of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/cli/saving.h"
#include "capture/target/dump_store.h"

namespace dw {

// An interrupted dump that can be continued, and how it was begun.
struct InterruptedDump {
  Saving saving;
  int dump_level = 0;
};

enum class Resume : uint8_t { kAuto, kNever };

// Which crash, and where it would go.
struct CrashToPlace {
  std::string name;       // of the dump's folder in the store
  Bytes notes;            // of the vmcore
  uint64_t identity = 0;  // crash_identity()
};

// Which incomplete dumps of the crash are gone on with.
struct DumpsToGoOn {
  Resume resume = Resume::kAuto;              // kNever: none that stood there before
  std::string begun_here = {};                // the folder of one that this run began; empty: none
  std::span<const std::string> refused = {};  // folders: never these
};

struct DumpPlace {
  std::string name;                            // of the dump's folder in the store
  bool saved_already = false;                  // a complete dump of this very crash stands there
  std::optional<InterruptedDump> interrupted;  // what stands there otherwise
  std::vector<std::string> left_alone;         // paths of parts of this crash in other places
};

// Takes the crash's name, or NAME-2, -3 ... where that holds another crash. A complete dump of this
// crash comes before an incomplete one, and that before a free name. The same crash is known by its
// ELF notes: registers and VMCOREINFO with the time of the crash; one that can be continued, or
// that stands where only its journal can be read cheaply (DumpStore::local_path()), by its journal.
Result<DumpPlace> find_dump_place(DumpStore& store, const CrashToPlace& crash,
                                  const DumpsToGoOn& which);

}  // namespace dw
