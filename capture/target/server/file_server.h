// A directory on a server, whatever the protocol: what SFTP and NFS have in common, and a dump
// needs.
//
// A FileServer is one login (it may be several connections). Once it lost its connection, or a
// reply did not come in time, every call fails at once with kLost or kTimeout, and what it had not
// sent is never sent; whoever wants to try again makes a new one. Paths are relative to the
// directory that the server was opened with, without "." and ".."; a final symbolic link is never
// followed.
//
// A file whose last name is removed or replaced may be lost for those who have it open (NFSv3 knows
// no open files).
//
// No call takes longer than the limits in ServerTimes say, as long as the server answers nothing;
// each answer begins them anew. Errors: kLost and kTimeout (trying again may help), kNoSpace,
// otherwise kIo with the errno that fits (ENOENT, EEXIST, EACCES, EROFS ...), each on the path.
//
// Thread safety: none; a ServerFile counts as its server. Ownership: a server outlives its files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

// Limits for waiting, in milliseconds.
struct ServerTimes {
  uint32_t connect_ms = 10'000;   // name, connection; again for keys and login
  uint32_t reply_ms = 20'000;     // any answer, while one is due
  uint32_t sync_ms = 60'000;      // the answer to a sync: a slow disk may have much to write
  uint32_t busy_ms = 100'000;     // a server that answers that it needs time: NFSv4 does for 90 s
                                  // after it was started, as a rule
  uint32_t keepalive_ms = 5'000;  // a quiet connection is asked whether it is there
};

struct ServerEntry {
  enum class Kind : uint8_t { kNothing, kFile, kDirectory, kOther };
  Kind kind = Kind::kNothing;
  uint64_t size = 0;  // of a file, bytes
};

// What this server does with what it was told to keep; for the report.
struct ServerPromises {
  bool durable = true;          // commit() returns when the bytes survive a power cut
  bool replaces_safely = true;  // a file that is replaced is there, old or new, at every moment
};

// Of a file: its own length, and one that no other file of that name has.
struct FileLengths {
  uint64_t own = 0;
  uint64_t other = 0;
};

class ServerFile {
 public:
  ServerFile() = default;
  ServerFile(const ServerFile&) = delete;
  ServerFile& operator=(const ServerFile&) = delete;
  // Closes it without waiting.
  virtual ~ServerFile() = default;

  // Takes a copy of `bytes`, which may be on its way when this returns; waits while too much is.
  // Writes on their way may be done in any order: those that overlap need a flush() between them.
  // The error of an earlier write may be told by any later call; kLost and kTimeout are told by
  // each, others once.
  virtual Status write(uint64_t offset, Bytes bytes) = 0;
  // Returns when every write so far was answered.
  virtual Status flush() = 0;
  // Exactly `into`. kBadInput if the file ends first. It does not wait for writes on their way:
  // what they write may be seen or not, so one that overlaps needs a flush() before.
  virtual Status read(uint64_t offset, MutableBytes into) = 0;
  // Both with every write so far in it.
  virtual Result<uint64_t> size() = 0;
  virtual Status truncate(uint64_t length) = 0;

  // Returns when every write so far is durable, as far as the server promises that. kLost if the
  // server may have forgotten some: it was started again meanwhile.
  virtual Status commit() = 0;
  // The same in two halves, so that more can be written meanwhile. What was written before
  // start_commit() is durable when finish_commit() returns; what is written between the two is not
  // waited for. One at a time for each file; commit() is none of them. The file's own writes are
  // what moves it on. Where there are no halves, the first does everything.
  virtual Status start_commit() { return commit(); }
  // Whether finish_commit() would not have to wait, or would fail. Does not wait itself.
  virtual bool commit_done() { return true; }
  virtual Status finish_commit() { return {}; }

  // Nothing but `content` is in it then, and durable. Nothing is on its way. At most 32 KiB.
  virtual Status put(Bytes content) {
    DW_TRY(write(0, content));
    DW_TRY(truncate(content.size()));
    return commit();
  }
};

class FileServer {
 public:
  enum class Open : uint8_t {
    kRead,
    kReadWrite,
    kCreate,  // mode 0600, to read and write; EEXIST if anything has the name
  };

  FileServer() = default;
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;
  virtual ~FileServer() = default;

  // kNothing where there is none: that is no error.
  virtual Result<ServerEntry> look(const std::string& path) = 0;
  // The same of several, which may be asked for at once.
  virtual std::vector<Result<ServerEntry>> look_at(std::span<const std::string> paths);
  // Mode 0700. EEXIST if anything has the name.
  virtual Status make_directory(const std::string& path) = 0;
  virtual Result<std::unique_ptr<ServerFile>> open(const std::string& path, Open how) = 0;
  // EEXIST if anything has the name `to`.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  // Where rename() takes two steps, and one was cut off between them, both names are there. If they
  // are one file, this takes the first; otherwise, and where rename() has one step, it does
  // nothing.
  virtual Status finish_rename(const std::string& /*from*/, const std::string& /*to*/) {
    return {};
  }
  virtual Status replace(const std::string& from, const std::string& to) = 0;
  // The same of the open file `from`, of which nothing is on its way: its new name is durable then.
  virtual Status rename_open(const std::string& from, const std::string& to, ServerFile& file);
  virtual Status replace_open(const std::string& from, const std::string& to, ServerFile& file);
  // Whether `path` is a name of the open file, of which nothing is on its way. Its length becomes
  // the other one for a moment; what it is in the end is durable.
  virtual Result<bool> has_name(ServerFile& file, const std::string& path,
                                const FileLengths& lengths);
  virtual Status remove(const std::string& path) = 0;
  virtual Status remove_directory(const std::string& path) = 0;
  // Bytes that this user may still write, if the server tells.
  virtual Result<std::optional<uint64_t>> free_bytes() = 0;

  // For whoever has nothing to ask for a while: does what can be done without waiting, so that the
  // server does not take us for gone. What fails is told by the next call.
  virtual void keep_alive() {}

  [[nodiscard]] virtual ServerPromises promises() const { return {}; }
  // Memory for what is on its way, in bytes, besides what the protocol's library takes.
  [[nodiscard]] virtual size_t memory_bytes() const = 0;
  // "ssh://user@host/dir" and the like, for messages.
  [[nodiscard]] virtual std::string display() const = 0;
};

}  // namespace dw
