#include "capture/codec/running_digest.h"

#include <xxhash.h>

namespace dw {

void RunningDigest::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

RunningDigest::RunningDigest() : state_(XXH3_createState()) {
  DW_CHECK(state_ != nullptr);
  reset();
}

void RunningDigest::reset() { DW_CHECK(XXH3_64bits_reset(state_.get()) == XXH_OK); }

void RunningDigest::add(Bytes bytes) {
  DW_CHECK(XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()) == XXH_OK);
}

uint64_t RunningDigest::value() const { return XXH3_64bits_digest(state_.get()); }

uint64_t digest64(Bytes bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace dw
