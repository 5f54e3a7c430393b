// Runs a program and decides about its system calls on files: let them through, let them fail
// without being made, or make them with less.
//
// By ptrace and a seccomp filter, so that it works on a static executable too. x86_64 only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/support/process.h"

namespace dw::test {

struct TracedCall {
  std::string name;     // such as "pwrite64"
  std::string path;     // what it works on, as a whole path
  uint64_t offset = 0;  // of pread64 and pwrite64, in bytes
  uint64_t size = 0;    // of these and of write
};

struct Verdict {
  int errno_value = 0;                // not 0: the call is not made, and fails with this
  std::optional<uint64_t> size = {};  // for the calls that have one: it is made with this size
  bool kill = false;                  // the program ends by SIGKILL, and the call is not made
};

// Called before each call, of any thread of the program, one after another.
using OnCall = std::function<Verdict(const TracedCall&)>;

// Kills the program after `limit_ms`. Throws if tracing is not possible.
Outcome run_traced(const std::vector<std::string>& arguments, const OnCall& on_call,
                   int limit_ms = 60000);

}  // namespace dw::test
