// What the tests of `dumpwright convert` share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/format/kdump_file.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

// A format and compression to convert to.
struct ConvertKind {
  const char* name;
  std::vector<std::string> options;
};
extern const std::vector<ConvertKind> kConvertKinds;

Outcome convert(const std::string& in, const std::string& out,
                std::vector<std::string> options = {});

// Reads each of the pages from a dump of any format, or a core.
Comparison compare_file(const std::vector<KnownPage>& pages, const std::string& path);

// A dump of any format but ELF.
std::shared_ptr<const KdumpFile> open_dump_file(const std::string& path);

void write_content(const std::string& path, Bytes content);

// Status 1, an error line with `what` and a hint, and no file whose name begins with "out".
void check_nothing_written(const TempDir& dir, const Outcome& outcome, const std::string& what);

}  // namespace dw::test
