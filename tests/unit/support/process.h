// Runs a program and tells what it did.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dw::test {

struct Outcome {
  int status = -1;  // exit status, -1 if it was ended by a signal
  int signal = 0;
  bool timed_out = false;      // then it was killed
  uint64_t anonymous_kib = 0;  // the most anonymous memory it was seen with
  std::string out;
  std::string err;

  // Lines on stderr.
  [[nodiscard]] std::vector<std::string> lines() const;
};

// What a program writes goes to a file in memory: no pipe can fill up, and a limit needs no second
// thread.
class CapturedOutput {
 public:
  CapturedOutput();
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;
  ~CapturedOutput();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string text() const;

 private:
  int fd_;
};

// Waits at most `limit_ms`. arguments[0] is the program's path.
Outcome run(const std::vector<std::string>& arguments, int limit_ms = 60000);

// Kills it with SIGKILL after `after_us` microseconds if it still runs.
Outcome run_and_kill(const std::vector<std::string>& arguments, int after_us);

// The executable under test: "dumpwright", then `arguments`.
Outcome dumpwright(std::vector<std::string> arguments);
std::vector<std::string> dumpwright_arguments(std::vector<std::string> arguments);

}  // namespace dw::test
