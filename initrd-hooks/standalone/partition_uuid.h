// The PARTUUID of a partition, from its disk's partition table: what the kernel accepts as
// root=PARTUUID=. The table is untrusted.
//
// Thread safety: plain functions.
#pragma once

#include <optional>
#include <string>

#include "capture/base/result.h"

namespace dw {

// `disk` is an open disk, `block_size` its logical block size in bytes, `number` the partition's
// number, from 1. GPT, if the MBR is a protective one: the partition's GUID; MBR: the disk's
// signature and the number, "5a3b7c21-01". Both in lower case. Nothing: the disk has no such
// partition or no table.
Result<std::optional<std::string>> partition_uuid(int disk, uint64_t block_size, uint32_t number);

}  // namespace dw
