#include "capture/target/target.h"

namespace dw {

namespace {

Error not_possible(const Target& target, const char* what) {
  return Error(ErrorKind::kUnsupported, what).on(target.path());
}

}  // namespace

// For targets that are not rewritable.

Result<uint64_t> Target::size() { return not_possible(*this, "cannot be read back"); }

Status Target::truncate(uint64_t) { return not_possible(*this, "cannot be cut"); }

Result<uint64_t> Target::sums_size() { return not_possible(*this, "has no place for sums"); }

Status Target::preallocate_sums(uint64_t) { return {}; }

Status Target::cut_sums(uint64_t) { return not_possible(*this, "has no place for sums"); }

Status Target::reserve_file(const char*, size_t) { return {}; }

}  // namespace dw
