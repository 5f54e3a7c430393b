// Power goes at any moment of a capture to a partition that holds another dump: what is read from
// it then is that dump as it was, or nothing, or part of the new one, and never a mixture.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/target/raw/raw_contents.h"
#include "capture/target/raw/raw_store.h"
#include "tests/fault/disk_log.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = DiskLog::Image;

constexpr unsigned kLimitSeconds = 240;
constexpr uint64_t kDiskBytes = 12 << 20;
constexpr const char* kOldName = "old-1";
constexpr const char* kNewName = "new-1";
constexpr const char* kReport = "vmcore.json";

struct Case {
  CaptureSettings settings;
  const char* file;
};
constexpr Case kCases[] = {
    {{.compression = {}, .checkpoint_each_batch = true}, "vmcore"},
    {{.compression = {.compression = Compression::kNone}, .checkpoint_each_batch = false},
     "vmcore"},
    {{.format = DumpFormat::kStream, .compression = {}, .checkpoint_each_batch = true},
     "vmcore.zst"},
    {{.format = DumpFormat::kElf,
      .compression = {.compression = Compression::kNone},
      .checkpoint_each_batch = true},
     "vmcore.elf"},
};

// Pages of other content where the new crash has them too, and larger.
VmcoreBuilder other_crash() {
  VmcoreBuilder builder;
  builder.add_cpus(2).add_vmcoreinfo(vmcoreinfo_text());
  builder.add_ram(8 * kPageBytes, 2040 * kPageBytes);
  for (uint64_t i = 0; i < 20; ++i)
    builder.fill_random((8 + i * 100) * kPageBytes, 60 * kPageBytes, i + 1000);
  return builder;
}

std::string text(const char* what) { return std::string(3000, what[0]) + what; }

Image content_of(const ReadableFile& file) {
  Image content(file_size(file.get()).value());
  REQUIRE(read_exact_at(file.get(), content, 0).ok());
  return content;
}

struct Disk {
  std::string path;

  void put(const Image& image) const {
    write_file(path, {reinterpret_cast<const char*>(image.data()), image.size()});
  }
  [[nodiscard]] std::unique_ptr<RawStore> open() const {
    return std::move(RawStore::open(path, {.force = true, .overwrite = true}).value());
  }
  void save(const Vmcore& vmcore, const char* name, const Case& how) const {
    std::unique_ptr<RawStore> store = open();
    auto target = std::move(store->create(name, how.file).value());
    REQUIRE(target->reserve_file(kReport, 8000).ok());
    REQUIRE(capture_into(*target, vmcore, how.settings).ok());
    std::string report = text(name);
    REQUIRE(target->put_file(kReport, std::as_bytes(std::span(report))).ok());
  }
};

struct Whole {
  Image dump;
  Image sums;
};

Whole whole_on(const Disk& disk) {
  RawContents raw = std::move(RawContents::open(disk.path).value());
  REQUIRE(raw.superblock().state == RawState::kSealed);
  return {content_of(raw.open_file(raw.dump_name()).value()),
          content_of(raw.open_file("vmcore.sums").value())};
}

// Every page that can be read is right.
void check_pages(const Subject& subject, ReadableFile file, bool sealed) {
  Result<DumpKind> kind = dump_kind(file.get());
  REQUIRE(kind.ok());
  if (*kind == DumpKind::kElf) return;
  Result<OpenDump> dump = open_dump(std::move(file));
  REQUIRE_MESSAGE(dump.ok(), text_of(dump));
  KdumpReader reader = std::move(KdumpReader::create(dump->file).value());
  Comparison result = compare(subject.pages, reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused == 0);
  if (sealed) CHECK_FALSE(reader.incomplete());
  if (!reader.incomplete()) CHECK(result.right == subject.pages.size());
}

struct Counts {
  unsigned old = 0;
  unsigned nothing = 0;
  unsigned part = 0;
  unsigned whole = 0;
};

class Cutter {
 public:
  explicit Cutter(const Case& how) : how_(how) {
    Subject other{.builder = other_crash()};
    TempDir dir;  // where pages go past the page cache
    Disk disk{dir / "disk"};
    disk.put(Image(kDiskBytes, std::byte{0xA5}));
    disk.save(other.vmcore, kOldName, how_);
    old_ = whole_on(disk);
    log_.emplace(disk.path);
    disk.save(subject_.vmcore, kNewName, how_);
    log_->stop();
    new_ = whole_on(disk);
  }

  void cut_everywhere() {
    for (size_t event = 0; event <= log_->events(); event += kThinning)
      for (uint64_t seed = 1; seed <= 3; ++seed) cut(event, seed);
    CHECK(counts_.old > 0);
    CHECK(counts_.nothing > 0);
    CHECK(counts_.part > 10);
    CHECK(counts_.whole > 0);
  }

 private:
  void cut(size_t event, uint64_t seed) {
    CAPTURE(event);
    CAPTURE(seed);
    disk_.put(log_->left_at(event, seed));
    Result<RawContents> raw = RawContents::open(disk_.path);
    REQUIRE_MESSAGE(raw.ok(), text_of(raw));
    const RawSuperblock& superblock = raw->superblock();
    check_report(*raw);
    if (superblock.name == kOldName) return check_old();
    CHECK(superblock.name == kNewName);
    if (superblock.state == RawState::kStaged) {
      ++counts_.nothing;
      CHECK(raw->dump_name().empty());
      CHECK_FALSE(raw->open_file("vmcore.sums").ok());
      CHECK_FALSE(raw->open_file(how_.file).ok());
      return;
    }
    bool sealed = superblock.state == RawState::kSealed;
    ++(sealed ? counts_.whole : counts_.part);
    check_pages(subject_, std::move(raw->open_file(raw->dump_name()).value()), sealed);
    if (!sealed) go_on();
    check_new();
  }

  // A small file is absent, or whole and of the dump it stands beside.
  void check_report(const RawContents& raw) {
    Result<ReadableFile> report = raw.open_file(kReport);
    if (!report.ok()) {
      CHECK(report.error().errno_value() == ENOENT);
      return;
    }
    std::string expected = text(raw.superblock().name.c_str());
    auto bytes = std::as_bytes(std::span(expected));
    CHECK((content_of(*report) == Image(bytes.begin(), bytes.end())));
  }

  void check_old() {
    ++counts_.old;
    CHECK(counts_.part + counts_.whole == 0);
    Whole there = whole_on(disk_);
    CHECK((there.dump == old_.dump));
    CHECK((there.sums == old_.sums));
  }

  void go_on() {
    std::unique_ptr<RawStore> store = disk_.open();
    CHECK(store->look(kNewName).value().standing == Standing::kIncomplete);
    auto target = std::move(store->reopen(kNewName, how_.file).value());
    Result<uint64_t> kept = resume_into(*target, subject_.vmcore, how_.settings);
    REQUIRE_MESSAGE(kept.ok(), text_of(kept));
  }

  void check_new() {
    Whole there = whole_on(disk_);
    CHECK((there.dump == new_.dump));
    CHECK((there.sums == new_.sums));
  }

  const Case& how_;
  Fd memory_ = memory_file(Image());
  Disk disk_{"/proc/self/fd/" + std::to_string(memory_.get())};
  Subject subject_;
  Whole old_;
  Whole new_;
  std::optional<DiskLog> log_;
  Counts counts_;
};

}  // namespace

TEST_CASE("raw power: cut at any moment, nothing of the dump underneath shows through") {
  TimeLimit limit(kLimitSeconds);
  for (const Case& how : kCases) {
    CAPTURE(how.file);
    Cutter(how).cut_everywhere();
  }
}
