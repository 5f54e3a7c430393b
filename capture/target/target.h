// Where a dump goes: the one interface to files, partitions and servers.
//
// A target holds one dump that becomes visible in three steps: staged (nobody may take it for a
// dump), published (incomplete but openable), sealed (whole). A failed sync() is final: what was
// written before it may be lost, and every later call fails too.
// Thread safety: all calls from one thread, except write_at() and read_at(), which may be called
// from several at once (writes on disjoint ranges).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class Target {
 public:
  Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  virtual ~Target() = default;

  // Makes room for `length` bytes at `offset`, where nothing was written yet; they read as zeros,
  // and writing there later cannot run out of space. Error kNoSpace if they do not fit.
  virtual Status preallocate(uint64_t offset, uint64_t length) = 0;

  virtual Status write_at(uint64_t offset, Bytes bytes) = 0;
  virtual Status read_at(uint64_t offset, MutableBytes into) = 0;

  // As write_at(), for pages: each call goes on where the last one ended. What was taken has its
  // place, but may be held back until the next sync(); until then nobody writes there, nor to the
  // block of 4 KiB in which the first one begins. On a server it may find the disk full when it
  // arrives there: kNoSpace comes late then, and the next sync() fails. Called by one thread, that
  // of write_at() then.
  virtual Status append(uint64_t offset, Bytes bytes) { return write_at(offset, bytes); }

  // Bytes of the dump's file, with what append() holds back.
  virtual Result<uint64_t> size();

  // Cuts the dump's file to `length` bytes, or lengthens it with zeros. What append() held back
  // behind it is forgotten, and append() may go on anywhere. Room that was made behind it is given
  // back. Durable after the next sync().
  virtual Status truncate(uint64_t length);

  // Whether the above holds. If not, write_at() takes the bytes from front to back without gaps,
  // and nothing can be read back, put beside the dump or made durable: the calls for that do
  // nothing, but for read_at(), size(), truncate() and the sums, which fail.
  [[nodiscard]] virtual bool rewritable() const { return true; }

  // Order without waiting: of what write_behind() and append_sums() write from now on nothing is on
  // the disk before all that was written so far is. Where that cannot be had without waiting it is
  // sync(), and fails like it.
  virtual Status barrier() { return sync(); }
  // As write_at(), behind the last barrier().
  virtual Status write_behind(uint64_t offset, Bytes bytes) { return write_at(offset, bytes); }

  // A side file for the dump's checksums: appended to, and read back. Durable after the next
  // sync(), like the dump.
  virtual Status append_sums(Bytes bytes) = 0;
  virtual Status read_sums(uint64_t offset, MutableBytes into) = 0;

  // Where append_sums() goes on, in bytes. Of a dump that is gone on with: the size of the side
  // file, which may end in a torn tail, or in zeros where room was made with them.
  virtual Result<uint64_t> sums_size();

  // Makes room for the sums up to `length` bytes: append_sums() up to there cannot run out of
  // space. What is not used is given back when the dump is sealed, or with this object. Error
  // kNoSpace if they do not fit. Where there is no side file that stays, it does nothing.
  virtual Status preallocate_sums(uint64_t length);

  // Drops what stands behind `size`, with the room that was made; append_sums() goes on there.
  // Durable after the next sync().
  virtual Status cut_sums(uint64_t size);

  // Writes, or replaces, the small file `name` beside the dump; durable on return. When power goes
  // meanwhile, it is absent, as it was before, or whole.
  virtual Status put_file(const char* name, Bytes content) = 0;

  // Makes room so that put_file() of `name`, with at most `bytes` bytes, works on a full disk too.
  // The room is given back by the first put_file() after seal(), or with this object. Error
  // kNoSpace if it does not fit.
  virtual Status reserve_file(const char* name, size_t bytes);

  // Bytes that an ordinary user may still write there now; nothing if that is not known.
  [[nodiscard]] virtual std::optional<uint64_t> free_bytes() { return std::nullopt; }

  // Returns when everything written so far will survive a power cut.
  virtual Status sync() = 0;

  // staged -> published. Called once, after sync().
  virtual Status publish() = 0;
  // published -> sealed. Called once, after sync().
  virtual Status seal() = 0;
  // Whether publish() failed in a way that leaves open what became of it: the connection was lost
  // behind the question.
  [[nodiscard]] virtual bool may_be_published() const { return false; }

  // Whether sync() keeps its word: some servers only take what they are sent.
  [[nodiscard]] virtual bool sync_is_durable() const { return true; }
  // Whether put_file() keeps its word when power goes while it replaces a file.
  [[nodiscard]] virtual bool replaces_safely() const { return true; }

  // What the dump is called now, for messages.
  [[nodiscard]] virtual std::string path() const = 0;

  // Called again and again by a call that takes long and gets on, on the thread of its caller.
  void set_moved(std::function<void()> moved) { moved_ = std::move(moved); }

 protected:
  // Where that is room for a table of gigabytes: so much at a time.
  static constexpr uint64_t kRoomPieceBytes = 64 << 20;
  void moved() const {
    if (moved_) moved_();
  }

 private:
  std::function<void()> moved_;
};

}  // namespace dw
