#include "capture/target/server/server_keeper.h"

#include <chrono>
#include <utility>

namespace dw {

namespace {

// A third of the shortest lease that anybody would choose.
constexpr std::chrono::milliseconds kPause{1000};

}  // namespace

void ServerKeeper::start() {
  Result<Thread> thread = Thread::start(run, this);
  if (thread.ok()) thread_.emplace(std::move(*thread));
}

void ServerKeeper::stop() {
  if (!thread_) return;
  {
    std::lock_guard lock(end_mutex_);
    end_ = true;
    ended_.notify_all();
  }
  thread_->join();
  thread_.reset();
}

void ServerKeeper::run(void* self) { static_cast<ServerKeeper*>(self)->keep(); }

void ServerKeeper::keep() {
  std::unique_lock lock(end_mutex_);
  while (!ended_.wait_for(lock, kPause, [this] { return end_; })) {
    // Whoever has it is talking to the server.
    std::unique_lock free(*mutex_, std::try_to_lock);
    if (free.owns_lock()) server_->keep_alive();
  }
}

}  // namespace dw
