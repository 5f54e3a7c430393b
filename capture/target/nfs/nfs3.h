// NFS version 3 (RFC 1813), and the MOUNT protocol that gives it its first handle.
#pragma once

#include <nfsc/libnfs-zdr.h>
// After libnfs-zdr.h.
#include <nfsc/libnfs-raw-nfs.h>

#include "capture/target/nfs/nfs_protocol.h"

namespace dw {

class Nfs3 : public NfsProtocol {
 public:
  using NfsProtocol::NfsProtocol;

  // Asks for the sizes that the server likes; to be called first. `limit`: at most so much.
  Status begin(const NfsHandle& root, uint32_t limit);

  Result<NfsEntry> look_up(const NfsHandle& directory, const std::string& name) override;
  Result<std::optional<NfsHandle>> make_directory(const NfsHandle& directory,
                                                  const std::string& name) override;
  Result<std::unique_ptr<NfsOpenFile>> open(const NfsHandle& directory, const std::string& name,
                                            FileServer::Open how) override;
  void close(NfsOpenFile& /*file*/) override {}
  Status rename(const NfsHandle& from_directory, const std::string& from,
                const NfsHandle& to_directory, const std::string& to) override;
  Status link(const NfsHandle& file, const NfsHandle& directory, const std::string& name) override;
  Status remove(const NfsHandle& directory, const std::string& name, bool a_directory) override;
  Result<std::optional<uint64_t>> free_bytes(const NfsHandle& directory) override;
  Result<uint64_t> size(const NfsOpenFile& file) override;
  Status truncate(const NfsOpenFile& file, uint64_t length) override;

  NfsCall look_up_call(const NfsHandle& directory, const std::string& name) override;
  NfsCall write_call(const NfsOpenFile& file, uint64_t offset, uint32_t count, Keep keep) override;
  NfsCall commit_call(const NfsOpenFile& file) override;
  NfsCall read_call(const NfsOpenFile& file, uint64_t offset, uint32_t count) override;
  std::optional<NfsEntry> look_up_results(XdrReader& results) override;
  WriteResults write_results(XdrReader& results) override;
  CommitResults commit_results(XdrReader& results) override;
  ReadResults read_results(XdrReader& results) override;

 private:
  Result<NfsHandle> create(const NfsHandle& directory, const std::string& name);
  Result<NfsEntry> attributes_of(const NfsHandle& handle);

  LOOKUP3args look_up_{};
  WRITE3args write_{};
  COMMIT3args commit_{};
  READ3args read_{};
};

struct NfsMount {
  NfsHandle handle;
  std::string path;  // what the handle is of: the path that was asked for, or its beginning
};

// The handle of `path` on the server, or of the longest beginning of it that it gives, from its
// MOUNT protocol on `mount_port`, or on the port that its portmapper names. Errors: kLost and
// kTimeout; kIo if it does not export the path to us.
Result<NfsMount> mount_nfs3(RpcPeer peer, std::optional<uint16_t> mount_port,
                            const std::string& path, const ServerTimes& times);

}  // namespace dw
