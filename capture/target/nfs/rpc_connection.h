// Calls of a server's procedures over one TCP connection (ONC RPC, RFC 5531), many at a time.
//
// Calls are encoded with libnfs. Sending, waiting and reading replies are done here: libnfs would
// keep a second copy of everything that is on its way, and believes the lengths in a reply.
//
// Nothing happens on its own: calls move on in wait() and move_on(). After a failure (kLost,
// kTimeout) the connection is closed, every function returns that failure, and no receiver hears of
// its calls any more. Thread safety: none. Ownership: receivers and payloads outlive the connection
// or the reply.
#pragma once

#include <nfsc/libnfs-zdr.h>
#include <sys/uio.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/base/clock.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/nfs/xdr_reader.h"
#include "capture/target/server/file_server.h"

namespace dw {

class RpcReceiver {
 public:
  RpcReceiver() = default;
  RpcReceiver(const RpcReceiver&) = delete;
  RpcReceiver& operator=(const RpcReceiver&) = delete;
  virtual ~RpcReceiver() = default;
  // The results of the call that was submitted with `tag`, or why the server did not do it. They
  // are valid until this returns. It may submit calls, but not wait.
  virtual void on_reply(uint64_t tag, Result<XdrReader> results) = 0;
};

// Keeps a copy of the reply to one call.
struct RpcAnswer : RpcReceiver {
  void on_reply(uint64_t tag, Result<XdrReader> results) override;

  std::vector<std::byte> bytes;
  std::optional<Error> error;
  bool done = false;
};

struct RpcPeer {
  std::string host;
  uint16_t port = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string display;  // for errors
};

struct RpcProcedure {
  uint32_t program = 0;
  uint32_t version = 0;
  uint32_t number = 0;
};

// How the arguments become bytes. encoder<zdr_X>(x) borrows x.
struct RpcArguments {
  bool (*encode)(ZDR*, void*) = nullptr;
  void* arguments = nullptr;
};

template <auto kZdr, typename Arguments>
RpcArguments encoder(Arguments& arguments) {
  return {[](ZDR* zdr, void* from) { return kZdr(zdr, static_cast<Arguments*>(from)) != 0; },
          &arguments};
}

// Bytes that follow the arguments, as an opaque whose length the arguments end with (as zero).
struct RpcPayload {
  static constexpr size_t kMaxPieces = 16;
  std::array<iovec, kMaxPieces> pieces{};
  size_t piece_count = 0;
  uint32_t bytes = 0;
};

class RpcConnection {
 public:
  // Which limit an answer has: times.reply_ms, times.sync_ms, or none; one that has none says
  // nothing about the others.
  enum class Kind : uint8_t { kOrdinary, kSlow, kAside };
  static constexpr size_t kMaxCalls = 400;
  // Of a reply, beside the data of a read.
  static constexpr size_t kReplyOverhead = 4096;

  // `most_data`: bytes of data in the largest reply. Within times.connect_ms, name and all.
  static Result<std::unique_ptr<RpcConnection>> connect(const RpcPeer& peer,
                                                        const ServerTimes& times, size_t most_data);
  RpcConnection(const RpcConnection&) = delete;
  RpcConnection& operator=(const RpcConnection&) = delete;
  ~RpcConnection();

  // Puts a call on its way. There must be room for it.
  Status submit(const RpcProcedure& procedure, const RpcArguments& arguments,
                const RpcPayload& payload, RpcReceiver& receiver, uint64_t tag,
                Kind kind = Kind::kOrdinary);
  [[nodiscard]] bool has_room() const { return in_use_ < kMaxCalls; }

  // Sends and receives what can be without waiting.
  Status move_on();
  // Until `done` says so, which is asked after each reply and every `pause_ms`. kTimeout if the
  // server owes an answer and sends none within its limit.
  template <typename Done>
  Status wait(Done done, uint32_t pause_ms = 1000) {
    uint64_t since_ms = monotonic_ms();
    while (true) {
      DW_TRY(state());
      if (done()) return {};
      DW_TRY(step(since_ms, pause_ms));
    }
  }

  // One call and its results, valid until the next call(). Of time it is as with wait().
  Result<XdrReader> call(const RpcProcedure& procedure, const RpcArguments& arguments);

  // The failure, if there was one.
  [[nodiscard]] Status state() const;
  // Gives up: the server did what it must not, or forgot what we need.
  void give_up(const Error& error);
  // The same, for whoever returns the failure.
  Error fail(const Error& error) {
    give_up(error);
    return *failure_;
  }
  // From now on `limit_ms` stands for both limits of waiting; 0: those of the times again.
  void set_limit(uint32_t limit_ms) { limit_ms_ = limit_ms; }
  [[nodiscard]] const ServerTimes& times() const { return times_; }
  [[nodiscard]] const std::string& display() const { return display_; }
  [[nodiscard]] size_t memory_bytes() const { return record_.capacity(); }

 private:
  struct Call {
    bool used = false;
    Kind kind = Kind::kOrdinary;
    uint32_t xid = 0;
    std::vector<std::byte> head;
    RpcPayload payload;
    size_t sent = 0;
    size_t total = 0;
    RpcReceiver* receiver = nullptr;
    uint64_t tag = 0;
  };

  RpcConnection(Fd socket, const RpcPeer& peer, const ServerTimes& times, size_t most_data);

  Status encode(Call& call, const RpcProcedure& procedure, const RpcArguments& arguments);
  Status step(uint64_t since_ms, uint32_t pause_ms);
  Status send_all();
  // False if the socket takes no more.
  Result<bool> send_some(Call& call);
  Status receive_all();
  // Bytes received; 0: there are none now.
  Result<size_t> receive(MutableBytes into);
  Result<bool> receive_more();
  Status take_fragment_header();
  Status take_record();
  void count(const Call& call, int one);
  void release(Call& call);
  [[nodiscard]] uint32_t limit_ms() const;
  Error lost(const char* what, int errno_value);

  Fd socket_;
  ServerTimes times_;
  std::string display_;
  AUTH* credentials_;
  std::optional<Error> failure_;
  std::vector<Call> calls_;
  size_t in_use_ = 0;
  size_t due_ = 0;  // of them, those that must be answered in time
  size_t slow_ = 0;
  std::deque<uint32_t> to_send_;
  uint32_t generation_ = 0;
  uint64_t last_reply_ms_ = 0;
  bool replied_ = false;
  uint32_t limit_ms_ = 0;

  // The reply that is being received: fragments of it so far, behind one another.
  std::array<std::byte, 4> header_{};
  size_t header_size_ = 0;
  size_t fragment_left_ = 0;
  bool last_fragment_ = false;
  std::vector<std::byte> record_;
  size_t record_size_ = 0;
  std::vector<std::byte> answer_;  // to call()
};

}  // namespace dw
