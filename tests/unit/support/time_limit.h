// A test that hangs ends its program instead, by SIGALRM, and the runner names it.
#pragma once

#include <unistd.h>

namespace dw::test {

class TimeLimit {
 public:
  explicit TimeLimit(unsigned seconds) { ::alarm(seconds); }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit() { ::alarm(0); }
};

}  // namespace dw::test
