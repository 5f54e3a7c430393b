// The writes and commits that are on their way to a server, and the memory that holds what they
// carry until it was answered.
//
// A write that the server did in part, or wants to be asked again, goes once more, from the same
// memory. Thread safety: none. Ownership: it borrows the protocol, owners and files; an owner that
// goes away says so with forget(), and its calls end without it.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/target/nfs/nfs_protocol.h"

namespace dw {

class NfsTraffic final : public RpcReceiver {
 public:
  static constexpr size_t kBlockSize = 32 << 10;
  static constexpr size_t kBlocks = 284;
  // Of one write.
  static constexpr uint32_t kMostWritten = RpcPayload::kMaxPieces * kBlockSize;
  // Enough for one.
  static constexpr size_t kFewBlocks = RpcPayload::kMaxPieces;

  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    // A part of a write, or all of it; `last`: there is no more to come. `epoch` as it was given.
    virtual void on_written(uint32_t epoch, const NfsWritten& written, bool last) = 0;
    virtual void on_write_failed(uint32_t epoch, const Error& error) = 0;
    virtual void on_committed(const Result<NfsVerifier>& verifier) = 0;
  };

  static Result<std::unique_ptr<NfsTraffic>> create(NfsProtocol& protocol, size_t blocks);

  // Takes a copy of at most protocol.most_written() bytes; waits until there is memory for it.
  Status write(Owner& owner, const NfsOpenFile& file, uint64_t offset, Bytes bytes, uint32_t epoch,
               NfsProtocol::Keep keep = NfsProtocol::Keep::kUntilCommit);
  // May be called by an owner that hears of a write.
  Status commit(Owner& owner, const NfsOpenFile& file);
  void forget(const Owner& owner);

  Status move_on();
  template <typename Done>
  Status wait(Done done) {
    return protocol_.connection().wait(
        [&] {
          protocol_.keep_alive();
          send_again();
          return done();
        },
        kPauseMs);
  }

  [[nodiscard]] size_t memory_bytes() const { return memory_.size(); }
  void on_reply(uint64_t tag, Result<XdrReader> results) override;

 private:
  static constexpr uint32_t kPauseMs = 200;
  static constexpr size_t kRequests = kBlocks + 16;

  struct Request {
    bool used = false;
    bool is_commit = false;
    NfsProtocol::Keep keep = NfsProtocol::Keep::kUntilCommit;
    Owner* owner = nullptr;
    const NfsOpenFile* file = nullptr;
    uint32_t epoch = 0;
    uint64_t offset = 0;
    uint32_t length = 0;
    uint32_t done = 0;  // bytes that the server has
    std::array<uint16_t, RpcPayload::kMaxPieces> blocks{};
    size_t block_count = 0;
    uint64_t begun_ms = 0;
    uint64_t again_ms = 0;  // when to send it again; 0: it is on its way
  };

  NfsTraffic(NfsProtocol& protocol, Buffer memory);

  Request* free_request();
  Status send(Request& request);
  RpcPayload payload_of(const Request& request);
  void release(Request& request);
  void send_again();
  // Whether it was put off.
  bool put_off(Request& request, uint32_t status);
  void take_write(Request& request, XdrReader& results);
  void take_commit(Request& request, XdrReader& results);
  void tell_failure(Request& request, const Error& error);

  NfsProtocol& protocol_;
  Buffer memory_;
  std::vector<uint16_t> free_blocks_;
  std::vector<Request> requests_;
  size_t put_off_ = 0;
};

}  // namespace dw
