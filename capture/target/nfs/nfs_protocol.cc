#include "capture/target/nfs/nfs_protocol.h"

#include <algorithm>
#include <deque>

#include "capture/target/nfs/nfs_status.h"

namespace dw {

namespace {

constexpr uint32_t kPauseMs = 200;
constexpr uint32_t kNoEntry = 2;  // NFS3ERR_NOENT and NFS4ERR_NOENT

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

Status NfsProtocol::ask(const NfsCall& nfs_call, RpcAnswer& answer) {
  DW_TRY(connection_.wait([&] { return connection_.has_room(); }));
  return connection_.submit(nfs_call.procedure, nfs_call.arguments, {}, answer, 0);
}

std::vector<Result<NfsEntry>> NfsProtocol::look_up_all(const NfsHandle& directory,
                                                       std::span<const std::string> names) {
  std::deque<RpcAnswer> answers;  // they stay where they are
  Status asked;
  for (size_t i = 0; i < names.size() && asked.ok(); ++i) {
    asked = ask(look_up_call(directory, names[i]), answers.emplace_back());
    if (!asked.ok()) answers.pop_back();
  }
  Status answered = connection_.wait([&] {
    return std::ranges::all_of(answers, [](const RpcAnswer& answer) { return answer.done; });
  });
  if (asked.ok()) asked = answered;
  std::vector<Result<NfsEntry>> entries;
  for (size_t i = 0; i < names.size(); ++i)
    entries.push_back(asked.ok() ? entry_in(answers[i], directory, names[i])
                                 : Result<NfsEntry>(asked.error()));
  return entries;
}

// What is neither there nor missing is asked for once more, alone.
Result<NfsEntry> NfsProtocol::entry_in(const RpcAnswer& answer, const NfsHandle& directory,
                                       const std::string& name) {
  if (answer.error) return Error(*answer.error).on(connection_.display());
  XdrReader results(answer.bytes);
  uint32_t status = results.u32();
  if (!results.ok()) return broken_reply();
  if (status == kNoEntry) return nfs_error("cannot look for it on the server", status);
  if (status != 0) return look_up(directory, name);
  std::optional<NfsEntry> entry = look_up_results(results);
  if (!results.ok()) return broken_reply();
  return entry ? Result<NfsEntry>(*entry) : look_up(directory, name);
}

}  // namespace dw
