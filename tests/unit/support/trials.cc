#include "tests/unit/support/trials.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <string>

namespace dw::test {

namespace {

uint64_t seed_of_run() {
  if (const char* seed = std::getenv("DUMPWRIGHT_SEED")) return std::strtoull(seed, nullptr, 0);
  return std::random_device{}();
}

unsigned share_of_run(unsigned share) {
  const char* all = std::getenv("DUMPWRIGHT_ALL_TRIALS");
  return all != nullptr && *all == '1' ? 1 : share;
}

}  // namespace

Trials::Trials(const char* what, unsigned share)
    : seed_(seed_of_run()), state_(seed_), share_(share_of_run(share)) {
  if (share_ > 1)
    MESSAGE(std::string(what) << ": one of " << share_ << ", DUMPWRIGHT_SEED=" << seed_
                              << "; all with DUMPWRIGHT_ALL_TRIALS=1");
}

// SplitMix64.
bool Trials::take() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t mixed = state_;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  bool taken = (mixed ^ mixed >> 31) % share_ == 0;
  taken_ += taken ? 1 : 0;
  return taken;
}

}  // namespace dw::test
