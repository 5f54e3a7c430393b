// Keeps a connection to a server alive while nobody uses it: a capture may compress, or judge
// pages, for longer than a server keeps what it knows of a silent client.
//
// Ownership: server and mutex outlive it. Thread safety: start() and the end from one thread; the
// server is called only by whoever holds the mutex, the keeper's thread included.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "capture/base/thread.h"
#include "capture/target/server/file_server.h"

namespace dw {

class ServerKeeper {
 public:
  ServerKeeper(FileServer& server, std::mutex& mutex) : server_(&server), mutex_(&mutex) {}
  ServerKeeper(const ServerKeeper&) = delete;
  ServerKeeper& operator=(const ServerKeeper&) = delete;
  ~ServerKeeper() { stop(); }

  // Where no thread can be had, the connection has to do without.
  void start();
  // Nobody may hold the mutex who waits for this.
  void stop();

 private:
  static void run(void* self);
  void keep();

  FileServer* server_;
  std::mutex* mutex_;
  std::mutex end_mutex_;
  std::condition_variable ended_;
  bool end_ = false;  // guarded by end_mutex_
  std::optional<Thread> thread_;
};

}  // namespace dw
