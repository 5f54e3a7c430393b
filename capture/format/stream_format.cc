#include "capture/format/stream_format.h"

#include <xxhash.h>

#include <algorithm>
#include <string_view>

namespace dw {

namespace {

constexpr std::string_view kMissingText =
    "dumpwright: this page of memory could not be read: MISSING PAGE\n";
static_assert(kMissingText.size() == 64);

}  // namespace

uint64_t closing_check(const ClosingFrame& frame) {
  constexpr size_t kBegin = offsetof(ClosingFrame, signature);
  constexpr size_t kEnd = offsetof(ClosingFrame, check);
  return XXH3_64bits(reinterpret_cast<const char*>(&frame) + kBegin, kEnd - kBegin);
}

void fill_missing_page(MutableBytes page) {
  DW_CHECK(page.size() % kMissingText.size() == 0);
  for (size_t at = 0; at < page.size(); at += kMissingText.size())
    std::memcpy(page.data() + at, kMissingText.data(), kMissingText.size());
}

bool is_missing_page(Bytes page) {
  DW_CHECK(page.size() % kMissingText.size() == 0);
  for (size_t at = 0; at < page.size(); at += kMissingText.size())
    if (std::memcmp(page.data() + at, kMissingText.data(), kMissingText.size()) != 0) return false;
  return true;
}

}  // namespace dw
