#include "capture/target/nfs/nfs_protocol.h"

#include "capture/target/nfs/nfs_status.h"

namespace dw {

namespace {

constexpr uint32_t kPauseMs = 200;

}  // namespace

Result<XdrReader> NfsProtocol::call(const NfsCall& nfs_call, const char* what) {
  uint64_t end_ms = monotonic_ms() + connection_.times().busy_ms;
  while (true) {
    DW_ASSIGN(XdrReader results, connection_.call(nfs_call.procedure, nfs_call.arguments));
    uint32_t status = results.u32();
    if (!results.ok()) return broken_reply();
    if (status == 0) return results;
    Error error = nfs_error(what, status);
    // Of a handle that is no longer known: so is all else.
    if (nfs_is_lost(status)) return connection_.fail(error);
    if (!nfs_needs_time(status)) return error;
    if (monotonic_ms() >= end_ms) return connection_.fail(error);
    uint64_t resume_ms = monotonic_ms() + kPauseMs;
    auto may_resume = [&] {
      keep_alive();
      return monotonic_ms() >= resume_ms;
    };
    DW_TRY(connection_.wait(may_resume, kPauseMs));
  }
}

}  // namespace dw
