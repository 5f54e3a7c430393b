#include "capture/pipeline/missing_page.h"

#include <cstring>
#include <string_view>

namespace dw {

namespace {

constexpr std::string_view kMissingText =
    "dumpwright: this page of memory could not be read: MISSING PAGE\n";
static_assert(kMissingText.size() == 64);

}  // namespace

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
