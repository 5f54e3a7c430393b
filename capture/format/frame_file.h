// The frames of a stream on their way to a target: one behind the other, counted, digested, and
// made durable now and then, with their sums beside them where the target keeps some.
//
// Thread safety: one thread. Asks for no memory after it is made.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/running_digest.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/format/sums.h"
#include "capture/target/target.h"

namespace dw {

class FrameFile {
 public:
  FrameFile(Target& target, const SumsHeader& header);

  // `content`: what the frame decompresses to, in bytes; 0 for a skippable frame. `digest`: the
  // frame's digest64(), if it is known already.
  Status append(Bytes frame, uint64_t content, std::optional<uint64_t> digest = std::nullopt);
  // A skippable frame that comes in pieces: the first says how long all of them are together.
  Status append_piece(Bytes piece);
  Status end_pieces(uint64_t length);

  // Syncs; what was appended then counts as written.
  Status checkpoint();
  [[nodiscard]] bool checkpoint_due() const;

  // Puts `frame` in the place of the first one, which is as long, and syncs that. If the sync
  // fails, the first one is put back, as far as that goes.
  Status replace_first(Bytes frame, Bytes before, uint64_t content);

  [[nodiscard]] uint64_t end() const { return end_; }
  [[nodiscard]] uint64_t frames() const { return frames_; }
  [[nodiscard]] uint64_t content_bytes() const { return content_bytes_; }
  // Of the digests of all frames but the first.
  [[nodiscard]] uint64_t digest() const { return digests_.value(); }
  // A frame may be there in part: nothing can be appended any more.
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] SumsWriter& sums() { return *sums_; }

  [[nodiscard]] static size_t memory_bytes() { return SumsWriter::memory_bytes(); }

 private:
  Status write(Bytes bytes);

  Target* target_;
  std::optional<SumsWriter> sums_;  // of a target that can be rewritten
  RunningDigest digests_;
  RunningDigest piece_digest_;
  CheckpointClock clock_;
  uint64_t end_ = 0;
  uint64_t frames_ = 0;
  uint64_t content_bytes_ = 0;
  bool broken_ = false;
};

}  // namespace dw
