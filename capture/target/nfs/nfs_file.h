// A file on an NFS server: unstable writes, and commits that compare what the server says about
// itself with what it said when it took them.
//
// Thread safety: none; it counts as its server. Ownership: it borrows protocol and traffic.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "capture/target/nfs/nfs_traffic.h"

namespace dw {

// Whether what was written without being durable is still known to the server: each of its answers
// since the last commit must bear the same verifier.
class NfsPromise {
 public:
  // False if the server forgot something.
  [[nodiscard]] bool written(const NfsWritten& written);
  // A commit that was asked for when `writes` had been answered.
  [[nodiscard]] bool committed(const NfsVerifier& verifier, uint64_t writes);
  // Writes that were answered so far.
  [[nodiscard]] uint64_t writes() const { return writes_; }
  // Whether something is not durable yet.
  [[nodiscard]] bool owes_commit() const { return verifier_.has_value(); }

 private:
  std::optional<NfsVerifier> verifier_;  // of what is not durable
  uint64_t writes_ = 0;
};

class NfsFile final : public ServerFile, private NfsTraffic::Owner {
 public:
  // `path`: for errors.
  NfsFile(NfsProtocol& protocol, NfsTraffic& traffic, std::unique_ptr<NfsOpenFile> file,
          std::string path);
  ~NfsFile() override;

  Status write(uint64_t offset, Bytes bytes) override;
  Status flush() override;
  Status read(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status commit() override;
  Status start_commit() override;
  bool commit_done() override;
  Status finish_commit() override;
  Status put(Bytes content) override;

  [[nodiscard]] const NfsHandle& handle() const { return file_->handle; }

 private:
  enum class Commit : uint8_t { kNone, kWaitsForWrites, kAsked, kAnswered };

  void on_written(uint32_t epoch, const NfsWritten& written, bool last) override;
  void on_write_failed(uint32_t epoch, const Error& error) override;
  void on_committed(const Result<NfsVerifier>& verifier) override;

  void one_less(uint32_t epoch);
  void ask_commit_if_due();
  void forgotten();
  // Tells the error of an earlier write, once.
  Status take_error();
  Error on_path(Error error) const { return error.on(path_); }

  NfsProtocol& protocol_;
  NfsTraffic& traffic_;
  std::unique_ptr<NfsOpenFile> file_;
  std::string path_;
  NfsPromise promise_;
  std::optional<Error> error_;

  // Writes on their way: [epoch % 2]. A commit begins a new epoch, and waits for the old one.
  size_t on_their_way_[2] = {};
  uint32_t epoch_ = 0;
  Commit commit_ = Commit::kNone;
  uint64_t commit_writes_ = 0;  // promise_.writes() when it was asked for
  std::optional<Error> commit_error_;
};

}  // namespace dw
