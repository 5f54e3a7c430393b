// XXH3-64 of bytes that come piece by piece.
// Thread safety: one thread. Allocates when it is made, not later.
#pragma once

#include <cstdint>
#include <memory>

#include "capture/base/bytes.h"

struct XXH3_state_s;

namespace dw {

class RunningDigest {
 public:
  RunningDigest();

  // Forgets what was added.
  void reset();

  void add(Bytes bytes);
  [[nodiscard]] uint64_t value() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

// Of bytes that are all there.
[[nodiscard]] uint64_t digest64(Bytes bytes, uint64_t seed = 0);

}  // namespace dw
