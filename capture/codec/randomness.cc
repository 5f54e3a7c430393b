#include "capture/codec/randomness.h"

#include <array>

namespace dw {

namespace {

constexpr unsigned kRounds = 8;
constexpr unsigned kPlaces = 4;  // pieces per round, each from another quarter of the page
constexpr size_t kPiece = 16;
constexpr unsigned kRoundBytes = kPlaces * kPiece;

// Pairs of equal bytes that are still likely among so many random ones: n (n - 1) / 2 pairs, each
// equal once in 256, and four times the standard deviation, which is the root of that number.
constexpr std::array<unsigned, kRounds> kMostPairs = [] {
  std::array<unsigned, kRounds> most{};
  for (unsigned round = 0; round < kRounds; ++round) {
    unsigned n = (round + 1) * kRoundBytes;
    unsigned expected = n * (n - 1) / 512;
    unsigned root = 0;
    while ((root + 1) * (root + 1) <= expected) ++root;
    most[round] = expected + 4 * root;
  }
  return most;
}();

}  // namespace

bool looks_random(Bytes page) {
  // Twice what is looked at, so that half a step further in there is still room for a piece.
  DW_CHECK(!page.empty() && page.size() % (2 * kPlaces * kRounds * kPiece) == 0);
  // A count cannot wrap: long before that there are too many pairs.
  std::array<uint8_t, 256> counts{};
  unsigned pairs = 0;
  size_t quarter = page.size() / kPlaces;
  size_t step = quarter / kRounds;
  for (unsigned round = 0; round < kRounds; ++round) {
    for (unsigned place = 0; place < kPlaces; ++place) {
      // Not at the very start of anything, where random contents often have a header.
      const std::byte* piece = page.data() + place * quarter + round * step + step / 2;
      for (size_t i = 0; i < kPiece; ++i) pairs += counts[static_cast<uint8_t>(piece[i])]++;
    }
    if (pairs > kMostPairs[round]) return false;
  }
  return true;
}

}  // namespace dw
