// Single steps on files in a directory, as the targets need them.
//
// Thread safety: no state of their own.
#pragma once

#include <cstdint>
#include <string>

#include "capture/base/result.h"

namespace dw {

// With what a person can do about it, where that is known from errno.
[[nodiscard]] Error with_hint(Error error);

Result<bool> exists_in(int directory, const char* name);

// Whether `name` leads to the file that is open as `fd`.
[[nodiscard]] bool is_named(int fd, int directory, const char* name);

// fsync(2): of a directory, it makes its entries durable.
Status sync_fd(int fd, const char* what);

// What is read of `fd` is read in the pieces that are asked for. Read ahead, as much as some disks
// do (8 MiB have been seen), it would fill the little memory there is with pages that cannot be
// taken back while they are being read.
void read_without_readahead(int fd);

// After a sync: what is read of `fd` from here on comes from the disk. A run that was interrupted
// may have been told of a failed sync: the kernel then keeps, as clean, what is not on the disk,
// and whoever reads it back would take it for saved.
Status forget_cached(int fd);

// mkdir -p, one component after the other; each is durable.
Status make_directories(const std::string& path);

// Renames within a directory. A file that is there already is never replaced, not even by a race.
Status rename_in(int directory, const char* from, const char* to);

// Two files change names at once. False where the file system cannot, or one of them is not there.
Result<bool> exchange_in(int directory, const char* one, const char* other);

// Space for [begin, end) of a file, without making it longer. False where the file system cannot.
// Error kNoSpace: a part may be reserved all the same.
Result<bool> reserve_range(int fd, uint64_t begin, uint64_t end);

// Gives back what is reserved behind the end of the file.
Status give_back_room(int fd);

// Writes zeros to [begin, end), and hands them to the disk piece by piece.
Status write_zeros(int fd, uint64_t begin, uint64_t end);

}  // namespace dw
