// What was read from a file far away, so that not each small read costs a round trip.
//
// Small reads are served from two aligned blocks of 64 KiB; larger ones that follow each other from
// a window that is read ahead, further each time. What is written meanwhile has to be told.
// Thread safety: one thread. Asks for no memory after create().
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class ReadCache {
 public:
  // Reads exactly `into`.
  using Fetch = std::function<Status(uint64_t offset, MutableBytes into)>;

  // `ahead`: the most that is read at once, in bytes.
  static Result<ReadCache> create(size_t ahead);

  // All of `into` lies within a file of `size` bytes.
  Status read(uint64_t offset, MutableBytes into, uint64_t size, const Fetch& fetch);
  // The file now has `bytes` at `offset`.
  void overwrite(uint64_t offset, Bytes bytes);
  // Nothing of what was read holds any more.
  void forget();

  // Gives away the memory of what is read ahead, for as long as this object lives: nothing is any
  // more.
  [[nodiscard]] MutableBytes give_window();

  // What create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes(size_t ahead) { return ahead + 2 * kBlockBytes; }

 private:
  static constexpr size_t kBlockBytes = 64 << 10;
  // Reads of fewer bytes are small.
  static constexpr size_t kSmallBytes = 16 << 10;
  // Read ahead for the first time.
  static constexpr size_t kFirstAhead = 256 << 10;

  struct Piece {  // of the file
    uint64_t begin = 0;
    MutableBytes room;
    size_t used = 0;

    [[nodiscard]] bool has(uint64_t offset) const {
      return offset >= begin && offset - begin < used;
    }
    // Returns how many bytes it has.
    size_t copy_to(uint64_t offset, MutableBytes into) const;
    void overwrite(uint64_t offset, Bytes bytes);
    Status fetch(uint64_t offset, size_t length, const Fetch& fetch);
  };

  explicit ReadCache(Buffer memory) : memory_(std::move(memory)) {}

  Status read_small(uint64_t offset, MutableBytes into, uint64_t size, const Fetch& fetch);
  Status read_large(uint64_t offset, MutableBytes into, uint64_t size, const Fetch& fetch);
  // Returns how many bytes of `into` it brought.
  Result<size_t> read_on(uint64_t offset, MutableBytes into, uint64_t size, const Fetch& fetch);
  Result<const Piece*> block_with(uint64_t offset, uint64_t size, const Fetch& fetch);

  Buffer memory_;
  std::array<Piece, 2> blocks_;
  size_t oldest_ = 0;  // of blocks_
  Piece window_;
  size_t next_ahead_ = 0;
  // Of the last large read: the next one follows it if it begins within, or right behind.
  uint64_t last_begin_ = 0;
  uint64_t last_end_ = 0;
};

}  // namespace dw
