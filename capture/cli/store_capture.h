// A store gets the dump: a new one, or the rest of one that was interrupted. A connection that is
// lost is made again, and the dump goes on. Thread safety: one thread calls.
#pragma once

#include <optional>
#include <string>

#include "capture/base/result.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/save_dump.h"

namespace dw {

// What became of one target.
struct Saved {
  Outcome outcome = Outcome::kIncomplete;
  std::string path;              // of the dump's folder, for messages
  std::optional<Error> failure;  // what ended an incomplete one early, if something did
};

[[nodiscard]] CrashToPlace crash_to_place(const Capture& capture, const Job& job);

// `first_word`: what the report says until there is more to say; empty where it does already. An
// error means that no part of this crash is known to stand there. A lost connection ends it only
// when nothing came of trying again for options.retry_for_s.
Result<Saved> capture_to_store(const Capture& capture, const Job& job,
                               const std::string& first_word);

}  // namespace dw
