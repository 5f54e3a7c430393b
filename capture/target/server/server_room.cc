#include "capture/target/server/server_room.h"

#include <cerrno>
#include <utility>

namespace dw {

Status ServerRoom::take(uint64_t bytes) {
  if (!asked_) {
    DW_ASSIGN(asked_, server_->free_bytes());
  }
  std::optional<uint64_t>& free = *asked_;
  if (!free) return {};
  if (bytes <= *free) {
    *free -= bytes;
    return {};
  }
  asked_.reset();
  return Error::from_errno("cannot reserve space", ENOSPC);
}

std::optional<uint64_t> ServerRoom::free_bytes() {
  if (asked_) return *std::exchange(asked_, std::nullopt);
  auto free = server_->free_bytes();
  return free.ok() ? *free : std::nullopt;
}

}  // namespace dw
