// The small files beside a dump on a partition: dmesg and report.
//
// Each is written where nothing that counts stands, synced, and then named by the superblock: it is
// absent, as it was before, or whole. Thread safety: one thread. The device must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/file_content.h"
#include "capture/target/raw/raw_device.h"

namespace dw {

class RawFiles {
 public:
  explicit RawFiles(RawDevice& device) : device_(&device) {}

  // As DumpStore::put_content() and Target::reserve_file(); the device has a superblock. Large
  // content leaves room for small.
  Status put(const std::string& name, const FileContent& content);
  Status reserve(const std::string& name, size_t bytes);

 private:
  struct Extent {
    uint64_t begin = 0;
    uint64_t length = 0;
  };
  // The content that stands, and the next one, in turn.
  struct Reserved {
    std::string name;
    Extent places[2];
  };

  [[nodiscard]] std::vector<Extent> used() const;
  [[nodiscard]] Result<Extent> find_free(uint64_t length) const;
  // Where the next content of `name` goes.
  [[nodiscard]] Result<Extent> place_for(const RawFile& now, const std::string& name,
                                         uint64_t length) const;

  RawDevice* device_;
  std::vector<Reserved> reserved_;  // at most kRawMaxFiles
};

}  // namespace dw
