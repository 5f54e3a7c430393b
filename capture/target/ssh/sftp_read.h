// Reading part of a file in many pieces at once. Thread safety: none.
#pragma once

#include <cstdint>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/ssh/sftp_pool.h"

namespace dw {

// Exactly `into`, over the first connection. Errors: kBadInput if the file ends first; kIo; those
// of the connection.
Status read_range(SftpPool& pool, const std::string& handle, uint64_t offset, MutableBytes into);

}  // namespace dw
