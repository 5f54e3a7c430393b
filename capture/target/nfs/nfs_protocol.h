// What NFSv3 and NFSv4 have in common, as far as a dump needs it: names in directories by their
// handles, and calls on an open file that may be many at a time.
//
// The functions that wait return errors without a subject; the caller knows the path. kLost and
// kTimeout are those of the connection. Servers that ask to be asked again later (JUKEBOX, DELAY,
// GRACE) are, within times.busy_ms. Thread safety: none.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/target/nfs/rpc_connection.h"
#include "capture/target/server/file_server.h"

namespace dw {

struct NfsHandle {
  static constexpr size_t kMaxSize = 128;  // of NFSv4; 64 of NFSv3
  std::array<char, kMaxSize> bytes{};
  uint32_t size = 0;
};

// What the server gives to whoever has the same boot of it before him: it changes when what was not
// committed may be forgotten.
using NfsVerifier = std::array<std::byte, 8>;

struct NfsEntry {
  NfsHandle handle;
  ServerEntry entry;
  bool is_symlink = false;
};

// An open file; what NFSv4 has besides is in its own class.
class NfsOpenFile {
 public:
  NfsOpenFile() = default;
  NfsOpenFile(const NfsOpenFile&) = delete;
  NfsOpenFile& operator=(const NfsOpenFile&) = delete;
  virtual ~NfsOpenFile() = default;
  NfsHandle handle;
};

struct NfsWritten {
  uint32_t count = 0;
  bool durable = false;  // needs no commit
  NfsVerifier verifier{};
};

struct NfsRead {
  Bytes data;
  bool end = false;
};

// A call on an open file that is ready to be submitted, with room for its arguments.
struct NfsCall {
  RpcProcedure procedure;
  RpcArguments arguments;
};

class NfsProtocol {
 public:
  explicit NfsProtocol(RpcConnection& connection) : connection_(connection) {}
  NfsProtocol(const NfsProtocol&) = delete;
  NfsProtocol& operator=(const NfsProtocol&) = delete;
  virtual ~NfsProtocol() = default;

  // Of one read: a reply has as much room, and many are on their way.
  static constexpr uint32_t kMostRead = 128 << 10;

  [[nodiscard]] uint32_t most_read() const { return most_read_; }
  [[nodiscard]] uint32_t most_written() const { return most_written_; }

  // ENOENT if there is none.
  virtual Result<NfsEntry> look_up(const NfsHandle& directory, const std::string& name) = 0;
  // Several, without waiting in between.
  std::vector<Result<NfsEntry>> look_up_all(const NfsHandle& directory,
                                            std::span<const std::string> names);
  // None if the server does not tell.
  virtual Result<std::optional<NfsHandle>> make_directory(const NfsHandle& directory,
                                                          const std::string& name) = 0;
  virtual Result<std::unique_ptr<NfsOpenFile>> open(const NfsHandle& directory,
                                                    const std::string& name,
                                                    FileServer::Open how) = 0;
  // Without waiting; what the server says to it is nobody's business.
  virtual void close(NfsOpenFile& file) = 0;
  // Replaces what has the name `to`.
  virtual Status rename(const NfsHandle& from_directory, const std::string& from,
                        const NfsHandle& to_directory, const std::string& to) = 0;
  virtual Status link(const NfsHandle& file, const NfsHandle& directory,
                      const std::string& name) = 0;
  virtual Status remove(const NfsHandle& directory, const std::string& name, bool a_directory) = 0;
  virtual Result<std::optional<uint64_t>> free_bytes(const NfsHandle& directory) = 0;
  virtual Result<uint64_t> size(const NfsOpenFile& file) = 0;
  virtual Status truncate(const NfsOpenFile& file, uint64_t length) = 0;
  // To be called now and then: the server may forget whoever is silent for too long.
  virtual void keep_alive() {}

  // Each call is valid until the next of these functions. A write has a payload besides; one that
  // is to be durable needs no commit.
  enum class Keep : uint8_t { kUntilCommit, kDurably };
  virtual NfsCall look_up_call(const NfsHandle& directory, const std::string& name) = 0;
  virtual NfsCall write_call(const NfsOpenFile& file, uint64_t offset, uint32_t count,
                             Keep keep) = 0;
  virtual NfsCall commit_call(const NfsOpenFile& file) = 0;
  virtual NfsCall read_call(const NfsOpenFile& file, uint64_t offset, uint32_t count) = 0;
  // Their results. The status is that of NFS, 0 for success.
  struct WriteResults {
    uint32_t status = 0;
    NfsWritten written;
  };
  struct CommitResults {
    uint32_t status = 0;
    NfsVerifier verifier{};
  };
  struct ReadResults {
    uint32_t status = 0;
    NfsRead read;
  };
  // Nothing if the server does not tell all.
  virtual std::optional<NfsEntry> look_up_results(XdrReader& results) = 0;
  virtual WriteResults write_results(XdrReader& results) = 0;
  virtual CommitResults commit_results(XdrReader& results) = 0;
  virtual ReadResults read_results(XdrReader& results) = 0;

  [[nodiscard]] RpcConnection& connection() const { return connection_; }

 protected:
  // A call and what the server says first to it, asked again while it says that it needs time. An
  // error if it is not 0, with `what`.
  Result<XdrReader> call(const NfsCall& nfs_call, const char* what);

  // A reply that does not hold what it must.
  Error broken_reply() {
    return connection_.fail(Error(ErrorKind::kLost, "a reply of the server makes no sense"));
  }

  uint32_t most_read_ = 0;
  uint32_t most_written_ = 0;

 private:
  Status ask(const NfsCall& nfs_call, RpcAnswer& answer);
  Result<NfsEntry> entry_in(const RpcAnswer& answer, const NfsHandle& directory,
                            const std::string& name);

  RpcConnection& connection_;
};

}  // namespace dw
