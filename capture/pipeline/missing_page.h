// What stands in place of a page that could not be read where a page must stand: in the slots of a
// stream (capture/format/stream.md). Thread safety: pure.
#pragma once

#include "capture/base/bytes.h"

namespace dw {

// `page` has a multiple of 64 bytes.
void fill_missing_page(MutableBytes page);
[[nodiscard]] bool is_missing_page(Bytes page);

}  // namespace dw
