#include "capture/target/open_store.h"

#include <utility>

#include "capture/target/file_store.h"
#include "capture/target/file_target.h"
#include "capture/target/raw/raw_store.h"
#include "capture/target/raw/raw_store.h"

namespace dw {

namespace {

// Buffers on their way, and what the protocols' libraries keep.
constexpr size_t kServerBytes = 12 << 20;

template <typename Store>
Result<std::unique_ptr<DumpStore>> as_store(Result<std::unique_ptr<Store>>&& store) {
  if (!store.ok()) return store.error();
  return std::unique_ptr<DumpStore>(std::move(*store));
}

}  // namespace

Result<std::unique_ptr<DumpStore>> open_store(const TargetAddress& address,
                                              const StoreOptions& /*options*/) {
  switch (address.kind) {
    case TargetKind::kDirectory:
      return as_store(FileStore::open(address.path));
    case TargetKind::kRaw:
      return as_store(
          RawStore::open(address.path, {.force = address.force, .overwrite = address.overwrite}));
    case TargetKind::kNfs:
    case TargetKind::kSsh:
    case TargetKind::kStdout:
    case TargetKind::kDevice:
      break;
  }
  return Error(ErrorKind::kUsage, "this kind of target is not supported here")
      .on(address.path)
      .hint("name a directory");
}

size_t store_memory_bytes(TargetKind kind) {
  switch (kind) {
    case TargetKind::kDirectory:
    case TargetKind::kDevice:
    case TargetKind::kRaw:
      return FileTarget::memory_bytes();
    case TargetKind::kNfs:
    case TargetKind::kSsh:
      return kServerBytes;
    case TargetKind::kStdout:
      break;
  }
  return 0;
}

}  // namespace dw
