// Whether a page is worth compressing at all: encrypted, compressed and random contents are not,
// and a compressor takes long to find that out. Thread safety: pure.
#pragma once

#include "capture/base/bytes.h"

namespace dw {

// Whether the bytes of a sample are spread as evenly as random ones. An eighth of a page of 4 KiB
// is looked at, of most pages that can be compressed only a 64th. What repeats only as a whole is
// taken for random too: for a quarter of a per mille of a dump's bytes, on the loads of README.md.
// `page` has a multiple of 1024 bytes, not 0.
[[nodiscard]] bool looks_random(Bytes page);

}  // namespace dw
