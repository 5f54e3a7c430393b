#include "tests/unit/support/rss_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace dw::test {

// Without the heap, so that the sampler does not show in what it samples.
uint64_t anonymous_kib(const std::string& status_path) {
  int fd = ::open(status_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[4096];
  ssize_t n = ::read(fd, text, sizeof(text) - 1);
  ::close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char* line = std::strstr(text, "RssAnon:");
  return line == nullptr ? 0 : std::strtoull(line + std::strlen("RssAnon:"), nullptr, 10);
}

RssSampler::RssSampler(int pid)
    : path_("/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/status") {
  peak_kib_ = anonymous_kib(path_);
  thread_ = std::thread([this] {
    while (!stopped_) {
      peak_kib_ = std::max(peak_kib_, anonymous_kib(path_));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
}

uint64_t RssSampler::stop() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
  peak_kib_ = std::max(peak_kib_, anonymous_kib(path_));
  return peak_kib_;
}

}  // namespace dw::test
