// Long loops of which an ordinary run does a part.
//
// A tenth is drawn by a seed, which is printed; DUMPWRIGHT_SEED=N repeats that draw, and
// DUMPWRIGHT_ALL_TRIALS=1 does all.
#pragma once

#include <cstdint>

namespace dw::test {

class Trials {
 public:
  // One of `share` is taken. Prints what is done, and how to do the same again.
  explicit Trials(const char* what, unsigned share = 10);

  // Whether the next trial is to be done.
  [[nodiscard]] bool take();

  [[nodiscard]] uint64_t seed() const { return seed_; }
  [[nodiscard]] unsigned taken() const { return taken_; }

 private:
  uint64_t seed_;
  uint64_t state_;
  unsigned share_;
  unsigned taken_ = 0;
};

}  // namespace dw::test
