// ramcheck compares a dump, page by page, with the RAM of the guest that it was taken from.
//
//   ramcheck DUMP LEVEL ram:START:SIZE:FILE:OFFSET... must:START:SIZE... may:START:SIZE...
//            [low:END] [never:START:SIZE...] [stale:START:SIZE...] [balloon:PAGES] [partial]
//
// - DUMP: anything that libkdumpfile reads.
// - LEVEL: the dump level. It says which of guest-load's pages must, and must not, be in the dump.
// - ram: guest physical memory START..START+SIZE is in FILE at OFFSET.
// - must: memory that a dump of level 0 or 1 has to hold whole: System RAM, no crash kernel.
// - may: memory that it may hold, rounded outwards. A saved page outside of it is an error.
// - low: below END, by default 1 MiB, a page may differ or be missing, and is listed: the capture
//   kernel works there.
// - never: memory that no dump may hold, whatever its level.
// - stale: memory that guest-load has lost. What it left there counts as nobody's.
// - balloon: so many pages that are zeros in RAM may be missing at any level.
// - partial: the dump was cut off. Any page may be missing or unreadable, all even; none may
// differ.
//
// Numbers are hexadecimal with 0x, or decimal. Prints "name value" lines and one line for every
// complaint. Exit: 0 all is well, 1 the dump is wrong, 2 it could not be checked. One thread.

#include <fcntl.h>
#include <libkdumpfile/kdumpfile.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "page_tag.h"

namespace {

constexpr uint64_t kPage = page_tag::kPageSize;
constexpr uint64_t kListedRuns =
    20;  // Runs of pages of one sort that are printed; all are counted.

struct Range {
  uint64_t start, end;
};

unsigned long long Wide(uint64_t value) { return value; }  // What %llu and %llx want.

struct Segment {
  uint64_t start, end;
  const unsigned char* bytes;
};

[[noreturn]] void Unchecked(const std::string& why) {
  std::fprintf(stderr, "ramcheck: %s\n", why.c_str());
  std::exit(2);
}

const unsigned char* MapFile(const std::string& path, uint64_t offset, uint64_t size) {
  int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) Unchecked(path + ": " + std::strerror(errno));
  struct stat status;
  if (fstat(fd, &status) != 0 || static_cast<uint64_t>(status.st_size) < offset + size) {
    Unchecked(path + ": shorter than the memory it should hold");
  }
  void* map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
  close(fd);
  if (map == MAP_FAILED) Unchecked(path + ": mmap: " + std::strerror(errno));
  return static_cast<const unsigned char*>(map);
}

// What the command line says.
struct Task {
  const char* dump = nullptr;
  uint64_t level = 0;
  uint64_t low_end = 0x100000;
  std::vector<Segment> ram;
  uint64_t balloon_pages = 0;
  bool partial = false;
  std::vector<Range> must, may, never, stale;
};

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> words;
  size_t at = 0;
  for (size_t colon; (colon = text.find(':', at)) != std::string::npos; at = colon + 1) {
    words.push_back(text.substr(at, colon - at));
  }
  words.push_back(text.substr(at));
  return words;
}

uint64_t Number(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (errno != 0 || end == text.c_str() || *end != '\0') Unchecked("not a number: " + text);
  return value;
}

void ParseArgument(const std::string& argument, Task& task) {
  std::vector<std::string> words = Split(argument);
  const std::string& key = words[0];
  if (key == "ram" && words.size() == 5) {
    uint64_t start = Number(words[1]), size = Number(words[2]);
    task.ram.push_back({start, start + size, MapFile(words[3], Number(words[4]), size)});
  } else if ((key == "must" || key == "may") && words.size() == 3) {
    uint64_t start = Number(words[1]);
    (key == "must" ? task.must : task.may).push_back({start, start + Number(words[2])});
  } else if ((key == "never" || key == "stale") && words.size() == 3) {
    uint64_t start = Number(words[1]);
    (key == "never" ? task.never : task.stale).push_back({start, start + Number(words[2])});
  } else if (argument == "partial") {
    task.partial = true;
  } else if (key == "balloon" && words.size() == 2) {
    task.balloon_pages = Number(words[1]);
  } else if (key == "low" && words.size() == 2) {
    task.low_end = Number(words[1]);
  } else {
    Unchecked("cannot make sense of '" + argument + "'");
  }
}

const unsigned char* FindPage(const std::vector<Segment>& ram, uint64_t address) {
  for (const Segment& segment : ram) {
    if (address >= segment.start && address + kPage <= segment.end) {
      return segment.bytes + (address - segment.start);
    }
  }
  return nullptr;
}

bool WholePageIn(const std::vector<Range>& ranges, uint64_t address) {
  for (const Range& range : ranges) {
    if (address >= range.start && address + kPage <= range.end) return true;
  }
  return false;
}

bool Touches(const std::vector<Range>& ranges, uint64_t address) {
  for (const Range& range : ranges) {
    if (address < range.end && address + kPage > range.start) return true;
  }
  return false;
}

// Counts pages of one sort and keeps the first runs of them. Pages are added in the order of their
// addresses.
class Finding {
 public:
  explicit Finding(const char* name) : name_(name) {}

  void Add(uint64_t address, const char* detail = "") {
    uint64_t pfn = address / kPage;
    ++count_;
    if (!runs_.empty() && runs_.back().end == pfn) {
      runs_.back().end = pfn + 1;
    } else if (runs_.size() < kListedRuns) {
      runs_.push_back({pfn, pfn + 1});
      if (detail_.empty()) detail_ = detail;
    }
  }

  void Print() const {
    std::printf("%s %llu", name_, Wide(count_));
    for (const Range& run : runs_)
      std::printf(" 0x%llx-0x%llx", Wide(run.start), Wide(run.end - 1));
    uint64_t listed = 0;
    for (const Range& run : runs_) listed += run.end - run.start;
    std::printf("%s%s%s\n", listed < count_ ? " and more" : "", detail_.empty() ? "" : ": ",
                detail_.c_str());
  }
  uint64_t count() const { return count_; }

 private:
  const char* name_;
  uint64_t count_ = 0;
  std::vector<Range> runs_;  // Page frame numbers.
  std::string detail_;
};

struct TagCount {
  uint64_t in_ram = 0, saved = 0;
};

enum class Verdict { kSaved, kExcluded, kUnreadable };

class Checker {
 public:
  explicit Checker(const Task& task) : task_(task) {}

  int Run() {
    OpenDump();
    for (const Segment& segment : task_.ram) {
      for (uint64_t at = segment.start; at < segment.end; at += kPage) CheckPage(at);
    }
    return Report();
  }

 private:
  void OpenDump() {
    int fd = open(task_.dump, O_RDONLY);
    if (fd < 0) Unchecked(std::string(task_.dump) + ": " + std::strerror(errno));
    dump_ = kdump_new();
    if (dump_ == nullptr) Unchecked("kdump_new failed");
    if (kdump_open_fd(dump_, fd) != KDUMP_OK) {
      std::printf("dump: libkdumpfile cannot open it: %s\n", kdump_get_err(dump_));
      std::exit(1);
    }
    const char* format = "";
    kdump_get_string_attr(dump_, KDUMP_ATTR_FILE_FORMAT, &format);
    std::printf("format %s\n", format);
    is_elf_ = std::strcmp(format, "elf") == 0;
  }

  Verdict ReadPage(uint64_t address) {
    size_t length = kPage;
    kdump_status status = kdump_read(dump_, KDUMP_MACHPHYSADDR, address, page_, &length);
    if (status == KDUMP_OK && length == kPage) return Verdict::kSaved;
    if (status == KDUMP_ERR_NODATA) return Verdict::kExcluded;
    return Verdict::kUnreadable;
  }

  void CheckPage(uint64_t address) {
    const unsigned char* truth = FindPage(task_.ram, address);
    // In an ELF dump libkdumpfile 0.5 takes the page just below a segment for a page of zeros.
    if (is_elf_ && !Touches(task_.may, address)) return;
    Verdict verdict = ReadPage(address);
    bool low = address < task_.low_end;
    bool never = Touches(task_.never, address);
    bool required = !never && WholePageIn(task_.must, address);
    if (never && verdict == Verdict::kSaved) forbidden_.Add(address);
    if (required && !Touches(task_.stale, address)) CountTag(truth, verdict);
    switch (verdict) {
      case Verdict::kUnreadable:
        unreadable_.Add(address, kdump_get_err(dump_));
        break;
      case Verdict::kExcluded:
        ++excluded_;
        if (!required || task_.level > 1) break;
        if (!low && task_.balloon_pages > ballooned_ && IsZero(truth))
          ++ballooned_;
        else
          (low ? low_missing_ : missing_).Add(address);
        break;
      case Verdict::kSaved:
        ++saved_;
        if (!Touches(task_.may, address)) surplus_.Add(address);
        if (std::memcmp(page_, truth, kPage) == 0)
          ++equal_;
        else
          (low ? low_differing_ : differing_).Add(address);
        break;
    }
  }

  static bool IsZero(const unsigned char* page) {
    return page[0] == 0 && std::memcmp(page, page + 1, kPage - 1) == 0;
  }

  void CountTag(const unsigned char* truth, Verdict verdict) {
    page_tag::Header header;
    std::memcpy(&header, truth, sizeof(header));
    if (header.magic != page_tag::Magic() || header.kind >= page_tag::kKinds) return;
    TagCount& tag = tags_[header.kind];
    ++tag.in_ram;
    if (verdict == Verdict::kSaved) ++tag.saved;
  }

  // Cache pages go at level 4 (which takes those with private data too), user pages at level 8.
  bool MayBeExcluded(uint32_t kind) const {
    bool user =
        kind == page_tag::kAnon || kind == page_tag::kAnonHuge || kind == page_tag::kHugetlb;
    return (task_.level & (user ? 8 : 4)) != 0;
  }

  bool ReportTags() const {
    bool good = true;
    for (uint32_t kind = 0; kind < page_tag::kKinds; ++kind) {
      const TagCount& tag = tags_[kind];
      bool excluded = MayBeExcluded(kind);
      // A few copies of such pages are in kernel memory (buffers of writes, pages freed again): 1
      // %.
      bool fits =
          excluded ? tag.saved <= tag.in_ram / 100 : task_.partial || tag.saved == tag.in_ram;
      const char* expected = excluded ? "at most 1 %" : task_.partial ? "any" : "all";
      std::printf("tagged-%s %llu in RAM, %llu saved, expected: %s%s\n", page_tag::kKindNames[kind],
                  Wide(tag.in_ram), Wide(tag.saved), expected, fits ? "" : " - WRONG");
      good = good && fits;
    }
    return good;
  }

  int Report() const {
    std::printf("saved %llu\nequal %llu\nexcluded %llu\n", Wide(saved_), Wide(equal_),
                Wide(excluded_));
    for (const Finding* finding : {&differing_, &low_differing_, &missing_, &low_missing_,
                                   &surplus_, &unreadable_, &forbidden_}) {
      finding->Print();
    }
    std::printf("ballooned %llu\n", Wide(ballooned_));
    bool good = ReportTags();
    for (const Finding* finding : {&differing_, &surplus_, &forbidden_}) {
      good = good && finding->count() == 0;
    }
    if (task_.partial) return Conclude(good);
    for (const Finding* finding : {&missing_, &unreadable_}) good = good && finding->count() == 0;
    if (equal_ == 0) {
      std::printf("nothing: not one page of the dump was compared and equal\n");
      good = false;
    }
    return Conclude(good);
  }

  static int Conclude(bool good) {
    std::printf("verdict %s\n", good ? "good" : "WRONG");
    return good ? 0 : 1;
  }

  const Task& task_;
  kdump_ctx_t* dump_ = nullptr;
  bool is_elf_ = false;
  unsigned char page_[kPage];
  uint64_t saved_ = 0, equal_ = 0, excluded_ = 0;
  Finding differing_{"differing"}, low_differing_{"low-differing"}, missing_{"missing"},
      low_missing_{"low-missing"}, surplus_{"surplus"}, unreadable_{"unreadable"},
      forbidden_{"forbidden"};
  uint64_t ballooned_ = 0;  // Missing, as pages of the balloon may be; their RAM is zeros.
  TagCount tags_[page_tag::kKinds];
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) Unchecked("usage: ramcheck DUMP LEVEL ram:... must:... may:... [low:END] ...");
  Task task;
  task.dump = argv[1];
  task.level = Number(argv[2]);
  for (int i = 3; i < argc; ++i) ParseArgument(argv[i], task);
  if (task.ram.empty()) Unchecked("no ram: given, nothing to compare with");
  if (task.must.empty()) Unchecked("no must: given, coverage could not be checked");
  return Checker(task).Run();
}
