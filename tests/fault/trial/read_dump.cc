// read_dump reads every page that a kdump file has with libkdumpfile, and compares it with the
// vmcore that the dump was made from.
//
//   read_dump DUMP VMCORE [VMCORE...]
//
// More than one vmcore: states of a memory that changed while the dump was made. A page is right if
// it is that of one state, and mixed if each of its words is that of some state: a copy that was
// taken while the page changed.
//
// Which pages the dump has is read from its second bitmap, here and not by the library, and so is
// which of them are missing. Prints
//
//   right N missing N wrong N mixed N excluded N
//
// and the first few pages that are wrong, why. Missing: its descriptor is all zero or says 1 byte,
// zstd, which no page can be, and the library fails it. Wrong: it reads as something else, cannot
// be read though it is not missing, or is no memory of the vmcore. Excluded: memory of the vmcore
// whose bit is not set. Exit: 0 nothing is wrong, 1 something is or the library does not open it, 2
// it could not be checked. Built for the machine that the tests run on, against its libkdumpfile.
// One thread.

#include <elf.h>
#include <fcntl.h>
#include <libkdumpfile/kdumpfile.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kListed = 10;  // Wrong pages that are printed; all are counted.

// Offsets in a kdump file's header.
constexpr size_t kBlockSizeAt = 428;

using PageBytes = std::vector<unsigned char>;

unsigned long long wide(uint64_t value) { return value; }

[[noreturn]] void unchecked(const std::string& why) {
  std::fprintf(stderr, "read_dump: %s\n", why.c_str());
  std::exit(2);
}

int open_for_reading(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) unchecked(path + ": " + std::strerror(errno));
  return fd;
}

// A vmcore whose headers are right, whatever is missing behind them.
class Memory {
 public:
  explicit Memory(const std::string& path) : fd_(open_for_reading(path)) {
    Elf64_Ehdr header;
    if (pread(fd_, &header, sizeof(header), 0) != sizeof(header)) unchecked(path + ": no header");
    std::vector<Elf64_Phdr> all(header.e_phnum);
    auto bytes = static_cast<ssize_t>(all.size() * sizeof(Elf64_Phdr));
    if (pread(fd_, all.data(), static_cast<size_t>(bytes), static_cast<off_t>(header.e_phoff)) !=
        bytes)
      unchecked(path + ": no program headers");
    for (const Elf64_Phdr& one : all)
      if (one.p_type == PT_LOAD) segments_.push_back(one);
    if (segments_.empty()) unchecked(path + ": no memory");
  }

  // False if the page is no memory. What the file does not have is zeros.
  bool read(uint64_t pfn, PageBytes& page) const {
    std::fill(page.begin(), page.end(), static_cast<unsigned char>(0));
    bool any = false;
    for (const Elf64_Phdr& segment : segments_) {
      uint64_t from = std::max<uint64_t>(segment.p_paddr, pfn * kPage);
      uint64_t to = std::min<uint64_t>(segment.p_paddr + segment.p_filesz, (pfn + 1) * kPage);
      if (from >= to) continue;
      any = true;
      auto at = static_cast<off_t>(segment.p_offset + (from - segment.p_paddr));
      if (pread(fd_, page.data() + from % kPage, to - from, at) < 0)
        unchecked("cannot read memory");
    }
    return any;
  }

  uint64_t end_pfn() const {
    uint64_t end = 0;
    for (const Elf64_Phdr& segment : segments_)
      end = std::max<uint64_t>(end, segment.p_paddr + segment.p_memsz);
    return (end + kPage - 1) / kPage;
  }

 private:
  int fd_;
  std::vector<Elf64_Phdr> segments_;
};

struct Descriptor {
  uint64_t offset;
  uint32_t size, flags;
  uint64_t page_flags;
};
static_assert(sizeof(Descriptor) == 24);

bool is_missing(const Descriptor& one) {
  constexpr uint32_t kZstd = 0x20;
  return (one.size == 0 && one.offset == 0 && one.flags == 0) ||
         (one.size == 1 && one.flags == kZstd);
}

// The second bitmap, one bit for each page that the dump has; and their descriptors. What the file
// does not have is zeros.
struct Table {
  std::vector<unsigned char> saved;
  std::vector<Descriptor> descriptors;
};

Table read_table(int fd) {
  int32_t blocks[3];  // block size, sub header blocks, blocks of both bitmaps
  if (pread(fd, blocks, sizeof(blocks), kBlockSizeAt) != sizeof(blocks) || blocks[0] != kPage ||
      blocks[1] < 1 || blocks[2] < 2)
    unchecked("this is no kdump file with blocks of 4096 bytes");
  uint64_t half = static_cast<uint64_t>(blocks[2]) / 2 * kPage;
  Table table{.saved = std::vector<unsigned char>(half), .descriptors = {}};
  auto at = static_cast<off_t>((1 + static_cast<uint64_t>(blocks[1])) * kPage + half);
  if (pread(fd, table.saved.data(), half, at) != static_cast<ssize_t>(half))
    unchecked("the dump ends inside of its bitmaps");
  size_t count = 0;
  for (unsigned char byte : table.saved) count += static_cast<size_t>(std::popcount(byte));
  table.descriptors.resize(count);
  if (pread(fd, table.descriptors.data(), count * sizeof(Descriptor),
            at + static_cast<off_t>(half)) < 0)
    unchecked("cannot read the descriptors");
  return table;
}

struct Counts {
  uint64_t right = 0, missing = 0, wrong = 0, mixed = 0, excluded = 0;
};

class Reader {
 public:
  Reader(const char* dump, std::vector<Memory> states) : states_(std::move(states)) {
    int fd = open_for_reading(dump);
    dump_ = kdump_new();
    if (dump_ == nullptr) unchecked("kdump_new failed");
    if (kdump_open_fd(dump_, fd) != KDUMP_OK) {
      std::printf("libkdumpfile does not open %s: %s\n", dump, kdump_get_err(dump_));
      std::exit(1);
    }
    table_ = read_table(fd);
  }

  Counts run() {
    size_t rank = 0;
    for (uint64_t pfn = 0; pfn < table_.saved.size() * 8; ++pfn) {
      if ((table_.saved[pfn / 8] >> pfn % 8 & 1) != 0)
        check(pfn, is_missing(table_.descriptors[rank++]));
      else if (pfn < states_[0].end_pfn() && states_[0].read(pfn, known_))
        ++counts_.excluded;
    }
    return counts_;
  }

 private:
  void wrong(uint64_t pfn, const char* why) {
    if (++counts_.wrong <= kListed) std::printf("page %#llx: %s\n", wide(pfn), why);
  }

  void check(uint64_t pfn, bool missing) {
    size_t length = kPage;
    kdump_status status = kdump_read(dump_, KDUMP_MACHPHYSADDR, pfn * kPage, page_.data(), &length);
    bool read = status == KDUMP_OK && length == kPage;
    if (read && missing) return wrong(pfn, "read though it is missing");
    if (read) return compare(pfn);
    if (missing) {
      ++counts_.missing;
      return;
    }
    const char* why = kdump_get_err(dump_);
    wrong(pfn, why == nullptr ? "read short" : why);
  }

  void compare(uint64_t pfn) {
    std::vector<bool> explained(kPage / sizeof(uint64_t));
    for (const Memory& state : states_) {
      if (!state.read(pfn, known_)) return wrong(pfn, "the vmcore has no such page");
      if (known_ == page_) {
        ++counts_.right;
        return;
      }
      for (size_t i = 0; i < explained.size(); ++i) {
        size_t at = i * sizeof(uint64_t);
        if (std::memcmp(&known_[at], &page_[at], sizeof(uint64_t)) == 0) explained[i] = true;
      }
    }
    if (states_.size() > 1 &&
        std::find(explained.begin(), explained.end(), false) == explained.end())
      ++counts_.mixed;
    else
      wrong(pfn, "differs from the vmcore");
  }

  kdump_ctx_t* dump_ = nullptr;
  std::vector<Memory> states_;
  Table table_;
  PageBytes page_ = PageBytes(kPage), known_ = PageBytes(kPage);
  Counts counts_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) unchecked("usage: read_dump DUMP VMCORE [VMCORE...]");
  std::vector<Memory> states;
  for (int i = 2; i < argc; ++i) states.emplace_back(argv[i]);
  Counts counts = Reader(argv[1], std::move(states)).run();
  std::printf("right %llu missing %llu wrong %llu mixed %llu excluded %llu\n", wide(counts.right),
              wide(counts.missing), wide(counts.wrong), wide(counts.mixed), wide(counts.excluded));
  return counts.wrong == 0 ? 0 : 1;
}
