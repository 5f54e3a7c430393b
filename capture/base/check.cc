#include "capture/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace dw {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "dumpwright: broken invariant at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace dw
