// What `convert` reads: a dump of any format, or an ELF vmcore.
//
// Thread safety: one thread, but for what sources() makes. Errors name no file: who calls does.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/cli/memory_budget.h"
#include "capture/format/dump_writer.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/page_source.h"
#include "capture/plan/pass_one.h"

namespace dw {

class ConvertInput {
 public:
  ConvertInput() = default;
  ConvertInput(const ConvertInput&) = delete;
  ConvertInput& operator=(const ConvertInput&) = delete;
  virtual ~ConvertInput() = default;

  // "a zstd stream", and so on.
  [[nodiscard]] virtual const char* kind() const = 0;
  [[nodiscard]] virtual uint64_t page_size() const = 0;
  // Whether it says itself that pages are missing.
  [[nodiscard]] virtual bool incomplete() const { return false; }
  // Where in the file it was cut off.
  [[nodiscard]] virtual std::optional<uint64_t> cut_at() const { return std::nullopt; }

  // Reads whatever vouches for the file as a whole.
  virtual Status verify() { return {}; }

  // What goes into the headers; points into this object.
  virtual DumpDescription description() = 0;

  // Makes the plan and hands out the bitmaps, on up to `threads` threads.
  virtual Result<Plan> plan(const WindowBitmaps& bitmaps, const PassOneOptions& options,
                            unsigned threads) = 0;

  virtual PageSourceFactory sources() = 0;
  // What was found damaged by a source, if anything was.
  virtual std::optional<Error> damage() { return std::nullopt; }

  // Of the plan, of this object and of the sources.
  [[nodiscard]] virtual MemoryNeeds memory_needs(bool with_digests) const = 0;
};

Result<std::unique_ptr<ConvertInput>> open_convert_input(ReadableFile file);

// Standard input; if that is a pipe, it is read to its end first, into a file without a name in
// `folder`.
Result<std::unique_ptr<ConvertInput>> open_convert_stdin(const std::string& folder);

}  // namespace dw
