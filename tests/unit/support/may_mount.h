// For tests that mount small file systems of their own.
#pragma once

namespace dw::test {

// True if this process may mount; the test fails if not.
[[nodiscard]] bool may_mount();

}  // namespace dw::test
