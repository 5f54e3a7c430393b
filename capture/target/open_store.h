// The place that an address names. Thread safety: pure, but for what is opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "capture/base/result.h"
#include "capture/target/address.h"
#include "capture/target/dump_store.h"
#include "capture/target/server/file_server.h"

namespace dw {

// What all servers are opened with; addresses have the rest.
struct StoreOptions {
  ServerTimes times;
  std::string ssh_key;             // path of a private key without a passphrase
  std::string ssh_known_hosts;     // path
  unsigned ssh_connections = 0;    // at most this many; 0: as many as help
  std::optional<int> nfs_version;  // where the address has none
  bool little_memory = false;      // for small files only
};

// `target`: what the address was asked for as. A directory that stands for a device (dev:) is
// called by it in messages. Errors: those of the kind of store; kUsage for kinds that are none
// (standard output), or that are not opened here (dev:).
Result<std::unique_ptr<DumpStore>> open_store(const TargetAddress& address,
                                              const StoreOptions& options,
                                              const std::string& target);

// What a store of this kind and its target allocate at most, in bytes.
[[nodiscard]] size_t store_memory_bytes(TargetKind kind);

}  // namespace dw
