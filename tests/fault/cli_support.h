// What the tests of the executable share: vmcores on disk, and how to look at what it left.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

// The name that small_crash() and large_crash() get.
inline constexpr const char* kSmallName = "web-1-20231114T221320Z";

// dumpwright capture -d 1 --source VMCORE ...
Outcome capture(const std::string& vmcore, std::vector<std::string> more);

// A dump of small_crash() in dumps/.
struct SavedDump {
  SavedDump();
  [[nodiscard]] std::string folder() const { return dir / "dumps/" + kSmallName; }
  [[nodiscard]] std::string dump() const { return folder() + "/vmcore"; }
  [[nodiscard]] std::string list() const { return folder() + "/vmcore.sums"; }

  TempDir dir;
};

// No crash of the program, no time limit reached, and one error line that names `subject` and ends
// with a hint. Status 1.
void check_refused(const Outcome& outcome, const std::string& subject, const std::string& what);

// Opens the dump and compares every page. With `whole` each must be there.
Comparison check_dump(const std::string& path, const std::vector<KnownPage>& pages, bool whole);

}  // namespace dw::test
