// NFS version 4.0 (RFC 7530): a client and its lease, opens and their state.
#pragma once

#include <vector>

#include "capture/target/nfs/nfs4_compound.h"

namespace dw {

class Nfs4 final : public NfsProtocol {
 public:
  using NfsProtocol::NfsProtocol;

  // Makes us known to the server; to be called first. Its root directory.
  Result<NfsHandle> begin();
  // The directory `names` lead to, with the sizes that the server likes there, in one step. Where
  // that does not work, look_up() and learn_limits() tell why.
  Result<NfsHandle> enter(const NfsHandle& root, std::span<const std::string> names,
                          uint32_t limit);
  // Asks for the sizes that the server likes in this directory. `limit`: at most so much.
  Status learn_limits(const NfsHandle& directory, uint32_t limit);

  Result<NfsEntry> look_up(const NfsHandle& directory, const std::string& name) override;
  Result<std::optional<NfsHandle>> make_directory(const NfsHandle& directory,
                                                  const std::string& name) override;
  Result<std::unique_ptr<NfsOpenFile>> open(const NfsHandle& directory, const std::string& name,
                                            FileServer::Open how) override;
  void close(NfsOpenFile& file) override;
  Status rename(const NfsHandle& from_directory, const std::string& from,
                const NfsHandle& to_directory, const std::string& to) override;
  Status link(const NfsHandle& file, const NfsHandle& directory, const std::string& name) override;
  Status remove(const NfsHandle& directory, const std::string& name, bool a_directory) override;
  Result<std::optional<uint64_t>> free_bytes(const NfsHandle& directory) override;
  Result<uint64_t> size(const NfsOpenFile& file) override;
  Status truncate(const NfsOpenFile& file, uint64_t length) override;
  void keep_alive() override;

  NfsCall look_up_call(const NfsHandle& directory, const std::string& name) override;
  NfsCall write_call(const NfsOpenFile& file, uint64_t offset, uint32_t count, Keep keep) override;
  NfsCall commit_call(const NfsOpenFile& file) override;
  NfsCall read_call(const NfsOpenFile& file, uint64_t offset, uint32_t count) override;
  std::optional<NfsEntry> look_up_results(XdrReader& results) override;
  WriteResults write_results(XdrReader& results) override;
  CommitResults commit_results(XdrReader& results) override;
  ReadResults read_results(XdrReader& results) override;

 private:
  struct OpenFile : NfsOpenFile {
    stateid4 state{};
    uint32_t next_sequence = 0;
  };
  // Answers that nobody waits for.
  struct Nobody : RpcReceiver {
    void on_reply(uint64_t /*tag*/, Result<XdrReader> /*results*/) override {}
  };

  static const stateid4& state_of(const NfsOpenFile& file) {
    return static_cast<const OpenFile&>(file).state;
  }
  Status confirm_client(const NfsVerifier& verifier);
  Status confirm_open(OpenFile& file);
  // The call, and an error if it was not done, for results that nobody needs.
  Status done(Nfs4Compound& compound, const char* what);

  uint64_t client_ = 0;
  uint64_t opens_ = 0;
  uint64_t lease_ms_ = 0;
  uint64_t last_renewal_ms_ = 0;
  Nfs4Compound scratch_;
  // Encoded again where the server asks for time, while which writes go on.
  Nfs4Compound look_up_;
  Nobody nobody_;
};

}  // namespace dw
