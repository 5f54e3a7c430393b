// Verifies a dump of any format with everything that it and the list of checksums beside it have.
//
// Everything is untrusted; nothing is written. Memory is bounded as kdump_verifier.h says.
// Thread safety: one call at a time tells its events, from the thread that called.
#pragma once

#include "capture/base/result.h"
#include "capture/format/dump_source.h"
#include "capture/verify/findings.h"

namespace dw {

struct VerifyOptions {
  unsigned threads = 1;
};

struct VerifiedDump {
  DumpKind kind = DumpKind::kUnknown;
  VerifyReport report;
};

// `list` may be none. `named_whole`: the dump's name is that of a whole one.
struct VerifyFiles {
  ReadableFile dump;
  ReadableFile list;
  bool named_whole = false;
};

// Errors: it cannot be opened as a dump, or no memory.
Result<VerifiedDump> verify_files(VerifyFiles files, const VerifyOptions& options,
                                  const VerifyEvents& events);

// The same; all of a dump that has not got its name is not whole, and that is told.
Result<VerifiedDump> verify_named(VerifyFiles files, const VerifyOptions& options,
                                  const VerifyEvents& events);

}  // namespace dw
