// The most anonymous memory that a process was seen to hold: RssAnon of /proc/PID/status, looked at
// every millisecond by a thread of its own.
//
// The kernel's own high-water mark (VmHWM) counts file pages too, and hides how much is anonymous.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace dw::test {

// In KiB; 0 if the process is gone.
[[nodiscard]] uint64_t anonymous_kib(const std::string& status_path);

class RssSampler {
 public:
  // Of process `pid`, or of this one.
  explicit RssSampler(int pid = 0);
  RssSampler(const RssSampler&) = delete;
  RssSampler& operator=(const RssSampler&) = delete;
  ~RssSampler() { (void)stop(); }

  // The peak, in KiB.
  [[nodiscard]] uint64_t stop();

 private:
  std::string path_;
  std::atomic<bool> stopped_{false};
  uint64_t peak_kib_ = 0;  // the thread's until it is joined
  std::thread thread_;
};

}  // namespace dw::test
