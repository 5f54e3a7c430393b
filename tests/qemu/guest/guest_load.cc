// guest-load fills a guest's memory with pages of every kind that a dump level tells apart, so that
// a dump of it can be judged: page cache (clean and dirty), tmpfs, anonymous memory in small and in
// huge pages.
//
//   guest-load clean:FILE:MIB dirty:FILE:MIB tmpfs:FILE:MIB anon:MIB huge:MIB hugetlb:MIB
//              gigantic:MIB poison:KIND... ready:FILE
//
// Every page starts with a page_tag::Header; the rest is a mix of random, text-like, pointer-like
// and nearly empty content. When all is done it writes FILE of `ready:` and keeps the memory until
// it is killed. One thread; every mapping lives as long as the process.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "page_tag.h"

namespace {

constexpr uint64_t kMib = 1024 * 1024;
constexpr uint64_t kHugePage = 2 * kMib;
constexpr size_t kWords = page_tag::kPageSize / sizeof(uint64_t);
constexpr size_t kHeaderWords = sizeof(page_tag::Header) / sizeof(uint64_t);

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "guest-load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

uint64_t NextRandom(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// 256 eight-byte "words", so that text-like pages compress as log files do.
struct Dictionary {
  uint64_t words[256];

  Dictionary() {
    uint64_t state = 0x9e3779b97f4a7c15ull;
    for (uint64_t& word : words) {
      char text[sizeof(uint64_t)];
      for (char& letter : text) letter = static_cast<char>('a' + NextRandom(state) % 26);
      text[3 + NextRandom(state) % 5] = ' ';
      std::memcpy(&word, text, sizeof(word));
    }
  }
};

void FillRandom(uint64_t* page, uint64_t state) {
  for (size_t i = kHeaderWords; i < kWords; ++i) page[i] = NextRandom(state);
}

void FillText(uint64_t* page, uint64_t state, const Dictionary& dictionary) {
  for (size_t i = kHeaderWords; i < kWords;) {
    uint64_t bits = NextRandom(state);
    for (int k = 0; k < 8 && i < kWords; ++k, ++i, bits >>= 8) {
      page[i] = dictionary.words[bits & 0xff];
    }
  }
}

void FillPointers(uint64_t* page, uint64_t state) {
  uint64_t base = 0xffff888000000000ull + (NextRandom(state) & 0x3fff'f000);
  for (size_t i = kHeaderWords; i < kWords; i += 4) {
    uint64_t bits = NextRandom(state);
    page[i] = base + (bits & 0xfff8);
    page[i + 1] = 0;
    page[i + 2] = (bits >> 32) & 0xff;
    page[i + 3] = base;
  }
}

void FillSparse(uint64_t* page, uint64_t state) {
  std::memset(page + kHeaderWords, 0, page_tag::kPageSize - sizeof(page_tag::Header));
  for (int k = 0; k < 4; ++k) {
    uint64_t bits = NextRandom(state);
    page[kHeaderWords + (bits >> 8) % (kWords - kHeaderWords)] = bits & 0xff;
  }
}

void FillPage(void* target, page_tag::Kind kind, uint64_t serial) {
  static const Dictionary dictionary;
  auto* page = static_cast<uint64_t*>(target);
  uint64_t seed = (serial + 1) * 0x9e3779b97f4a7c15ull + kind + 1;
  uint32_t content = seed >> 32 & 7;
  page_tag::Header header = {page_tag::Magic(), kind, content, serial, seed};
  std::memcpy(page, &header, sizeof(header));
  if (content == 0) return FillRandom(page, seed);
  if (content <= 3) return FillText(page, seed, dictionary);
  if (content <= 5) return FillPointers(page, seed);
  FillSparse(page, seed);
}

void FillMemory(char* memory, uint64_t bytes, page_tag::Kind kind) {
  for (uint64_t offset = 0; offset < bytes; offset += page_tag::kPageSize) {
    FillPage(memory + offset, kind, offset / page_tag::kPageSize);
  }
}

// One page of each kind, for `poison`. Its place is no multiple of a huge page's.
constexpr uint64_t kVictimOffset = 3 * kMib + 5 * page_tag::kPageSize;
struct Filled {
  char* memory[page_tag::kKinds] = {};
  std::string clean_file;
} filled;

void FillAnonymous(uint64_t bytes, page_tag::Kind kind) {
  void* memory =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap of anonymous memory");
  auto address = (reinterpret_cast<uintptr_t>(memory) + kHugePage - 1) & ~(kHugePage - 1);
  auto* start = reinterpret_cast<char*>(address);
  int advice = kind == page_tag::kAnonHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
  if (madvise(start, bytes, advice) != 0) Fail("madvise");
  FillMemory(start, bytes, kind);
  filled.memory[kind] = start;
}

void FillHugetlb(uint64_t bytes, int page_shift) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | page_shift << MAP_HUGE_SHIFT;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap of hugetlb pages");
  filled.memory[page_tag::kHugetlb] = static_cast<char*>(memory);
  FillMemory(static_cast<char*>(memory), bytes, page_tag::kHugetlb);
}

uint64_t FrameOf(const void* address) {
  int fd = open("/proc/self/pagemap", O_RDONLY);
  if (fd < 0) Fail("open /proc/self/pagemap");
  uint64_t entry = 0;
  auto offset = static_cast<off_t>(reinterpret_cast<uintptr_t>(address) / page_tag::kPageSize * 8);
  if (pread(fd, &entry, sizeof(entry), offset) != sizeof(entry)) Fail("read pagemap");
  close(fd);
  uint64_t frame = entry & ((1ull << 55) - 1);
  if ((entry >> 63) == 0 || frame == 0) Fail("pagemap: the page is not in memory");
  return frame;
}

void WriteFile(const char* path, int flags, const std::string& text) {
  int fd = open(path, O_WRONLY | flags, 0600);
  if (fd < 0) Fail(std::string("open ") + path);
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    Fail(std::string("write '") + text + "' to " + path);
  }
  close(fd);
}

// A page of a file has to be mapped to be found, but not to be poisoned.
uint64_t FrameOfFile(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) Fail("open " + path);
  void* page =
      mmap(nullptr, page_tag::kPageSize, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, kVictimOffset);
  if (page == MAP_FAILED) Fail("mmap " + path);
  [[maybe_unused]] char touched = *static_cast<volatile char*>(page);
  uint64_t frame = FrameOf(page);
  munmap(page, page_tag::kPageSize);
  close(fd);
  return frame;
}

bool Poison(std::string_view name) {
  constexpr struct {
    std::string_view name;
    page_tag::Kind kind;
  } kKinds[] = {{"clean", page_tag::kCacheClean},
                {"anon", page_tag::kAnon},
                {"huge", page_tag::kAnonHuge},
                {"hugetlb", page_tag::kHugetlb}};
  for (const auto& known : kKinds) {
    if (known.name != name) continue;
    bool file = known.kind == page_tag::kCacheClean;
    if (file ? filled.clean_file.empty() : filled.memory[known.kind] == nullptr) return false;
    uint64_t frame =
        file ? FrameOfFile(filled.clean_file) : FrameOf(filled.memory[known.kind] + kVictimOffset);
    char address[32];
    std::snprintf(address, sizeof(address), "0x%llx",
                  static_cast<unsigned long long>(frame * page_tag::kPageSize));
    WriteFile("/sys/devices/system/memory/hard_offline_page", 0, address);
    WriteFile("/run/poisoned", O_CREAT | O_APPEND,
              "Poisoned" + std::string(name) + ": " + std::to_string(frame) + "\n");
    return true;
  }
  return false;
}

// Written with write(), not through a mapping: then no page of the file is mapped, as in most of a
// page cache.
void FillFile(const std::string& path, uint64_t bytes, page_tag::Kind kind) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) Fail("open " + path);
  alignas(page_tag::kPageSize) static char buffer[16 * page_tag::kPageSize];
  for (uint64_t offset = 0; offset < bytes; offset += sizeof(buffer)) {
    uint64_t first = offset / page_tag::kPageSize;
    for (uint64_t i = 0; i < sizeof(buffer) / page_tag::kPageSize; ++i) {
      FillPage(buffer + i * page_tag::kPageSize, kind, first + i);
    }
    if (write(fd, buffer, sizeof(buffer)) != static_cast<ssize_t>(sizeof(buffer))) {
      Fail("write " + path);
    }
  }
  // This buffer would count as pages of the file's kind.
  std::memset(buffer, 0, sizeof(buffer));
  if (kind == page_tag::kCacheClean) {
    if (fdatasync(fd) != 0) Fail("fdatasync " + path);
    filled.clean_file = path;
  }
  // Kept open: an unlinked or evicted file would be freed.
}

uint64_t ParseBytes(std::string_view text) {
  uint64_t mib = std::strtoull(std::string(text).c_str(), nullptr, 10);
  return mib * kMib;
}

void WriteReadyFile(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  if (fd < 0 || close(fd) != 0) Fail("create " + path);
}

bool RunTask(std::string_view task) {
  size_t first = task.find(':');
  size_t last = task.rfind(':');
  if (first == std::string_view::npos) return false;
  std::string_view name = task.substr(0, first);
  std::string_view amount = task.substr(last + 1);
  std::string path(first == last ? amount : task.substr(first + 1, last - first - 1));
  if (name == "clean")
    FillFile(path, ParseBytes(amount), page_tag::kCacheClean);
  else if (name == "dirty")
    FillFile(path, ParseBytes(amount), page_tag::kCacheDirty);
  else if (name == "tmpfs")
    FillFile(path, ParseBytes(amount), page_tag::kTmpfs);
  else if (name == "anon")
    FillAnonymous(ParseBytes(amount), page_tag::kAnon);
  else if (name == "huge")
    FillAnonymous(ParseBytes(amount), page_tag::kAnonHuge);
  else if (name == "hugetlb")
    FillHugetlb(ParseBytes(amount), 21);
  else if (name == "gigantic")
    FillHugetlb(ParseBytes(amount), 30);
  else if (name == "poison")
    return Poison(amount);
  else if (name == "ready")
    WriteReadyFile(path);
  else
    return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (!RunTask(argv[i])) {
      std::fprintf(stderr, "guest-load: cannot make sense of '%s'\n", argv[i]);
      return 2;
    }
  }
  for (;;) pause();
}
