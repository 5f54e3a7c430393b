// How much of a server's disk is free: asked once for several reservations that follow each other.
//
// Thread safety: none. The server belongs to the caller.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/result.h"
#include "capture/target/server/file_server.h"

namespace dw {

class ServerRoom {
 public:
  explicit ServerRoom(FileServer& server) : server_(&server) {}

  // kNoSpace, before the server's disk is filled with zeros in vain, if so much is not free. Counts
  // them as taken.
  Status take(uint64_t bytes);
  // What the server said when it was asked last, or says now. Nothing: it does not say.
  [[nodiscard]] std::optional<uint64_t> free_bytes();

 private:
  FileServer* server_;
  // What it said a moment ago, without what was taken since.
  std::optional<std::optional<uint64_t>> asked_;
};

}  // namespace dw
