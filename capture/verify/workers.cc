#include "capture/verify/workers.h"

#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/thread.h"

namespace dw {

namespace {

struct Shared {
  const std::function<Status()>* work;
  std::mutex mutex;
  std::optional<Error> error;

  void run(bool needed) {
    Status status = (*work)();
    if (status.ok()) return;
    if (!needed && status.error().kind() == ErrorKind::kNoMemory) return;
    std::lock_guard lock(mutex);
    if (!error) error = status.error();
  }
};

}  // namespace

Status run_on_threads(unsigned threads, const std::function<Status()>& work) {
  Shared shared{.work = &work, .mutex = {}, .error = {}};
  std::vector<Thread> started;
  started.reserve(threads);
  for (unsigned i = 1; i < threads; ++i) {
    Result<Thread> thread =
        Thread::start([](void* raw) { static_cast<Shared*>(raw)->run(false); }, &shared);
    if (!thread.ok()) break;
    started.push_back(std::move(*thread));
  }
  shared.run(true);
  for (Thread& thread : started) thread.join();
  if (shared.error) return *shared.error;
  return {};
}

}  // namespace dw
