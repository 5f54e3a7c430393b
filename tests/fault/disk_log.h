// What this process writes to a disk, in order: to see what a power cut at any moment would leave.
//
// What was written before the last sync that returned is there. Of what was written since then any
// subset of 512-byte sectors is, the rest shows what was there before. Thread safety: one log at a
// time; any thread may write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dw::test {

class DiskLog {
 public:
  using Image = std::vector<std::byte>;

  // Logs what is written to the file `path`, a disk's image, until stop() or the end of the object.
  explicit DiskLog(const std::string& path);
  DiskLog(const DiskLog&) = delete;
  DiskLog& operator=(const DiskLog&) = delete;
  ~DiskLog();

  void stop();
  // Writes and syncs.
  [[nodiscard]] size_t events() const { return events_.size(); }
  // When power goes before event number `event`, and `seed` draws what is left.
  [[nodiscard]] Image left_at(size_t event, uint64_t seed) const;

  // For the system calls that are watched.
  void note_write(int fd, const std::byte* bytes, size_t size, uint64_t offset);  // null: zeros
  void note_sync(int fd);

 private:
  struct Event {
    bool sync = false;
    uint64_t offset = 0;
    Image bytes;
  };

  [[nodiscard]] bool is_ours(int fd) const;

  Image before_;
  std::vector<Event> events_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace dw::test
