// How many times less a long loop does under ThreadSanitizer, which makes it twenty times slower and
// has nothing to find in a loop of one thread. The other presets do all of it.
#pragma once

namespace dw::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr unsigned kThinning = 6;
#else
inline constexpr unsigned kThinning = 1;
#endif

}  // namespace dw::test
