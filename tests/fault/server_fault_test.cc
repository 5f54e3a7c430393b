// A dump on a server whose connection is lost at any call, or that goes down: the next connection
// goes on with it, and it becomes the dump of a run that nothing happened to. What was vouched for
// is not sent again.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "capture/journal/journal_reader.h"
#include "capture/target/dump_names.h"
#include "capture/target/server/server_target.h"
#include "capture/target/server/standing_files.h"
#include "capture/target/sums_file.h"
#include "tests/fault/disturbed_runs.h"
#include "tests/fault/writer_subject.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kLimitSeconds = 240;
constexpr const char* kName = "host-1";

struct Way {
  CaptureSettings settings;
  const char* file;
};

constexpr Way kWays[] = {
    {{.compression = {}, .checkpoint_each_batch = true}, kSealedName},
    {{.compression = {.compression = Compression::kNone}, .threads = 2}, kSealedName},
    {{.format = DumpFormat::kStream, .compression = {}, .checkpoint_each_batch = true},
     kZstdStreamName},
    {{.format = DumpFormat::kElf,
      .compression = {.compression = Compression::kNone},
      .checkpoint_each_batch = true},
     kElfName},
};

struct Vouched {
  uint64_t begin;
  uint64_t end;
};

// What the records in `sums` say of pieces that are never written again.
struct Journal {
  explicit Journal(const std::vector<std::byte>& sums) {
    auto read_at = [&](uint64_t offset, MutableBytes into) -> Status {
      std::copy_n(sums.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
      return {};
    };
    Result<JournalReader> journal = JournalReader::open(read_at, sums.size());
    if (!journal.ok()) return;
    while (std::optional<JournalEntry> entry = journal->next().value()) {
      const JournalRecord& record = entry->record;
      if (record.kind == PieceKind::kPages) ++batches;
      bool stays = record.kind == PieceKind::kPages || record.kind == PieceKind::kMark ||
                   (record.kind == PieceKind::kHead && record.offset > 0);
      if (stays && record.length > 0)
        pieces.push_back({record.offset, record.offset + record.length});
    }
  }

  uint64_t batches = 0;
  std::vector<Vouched> pieces;
};

class Place {
 public:
  explicit Place(const Way& way) : way_(&way) {}

  [[nodiscard]] std::string path(const std::string& file) const {
    return dir_ / kName + "/" + file;
  }
  [[nodiscard]] std::string incomplete() const {
    return path(way_->file + std::string(kIncompleteSuffix));
  }
  [[nodiscard]] std::vector<std::string> names() const { return dir_.tree(); }
  ServerDisk& disk() { return disk_; }

  // One connection: begins the dump, or goes on with what is there. Returns the calls it took.
  Status run(const Vmcore& vmcore, const ServerFaults& faults, uint64_t* calls = nullptr) {
    Journal vouched(sums_);
    size_t written = disk_.writes().size();
    DirectoryServer server(disk_, faults);
    Status status = run_on(server, vmcore, vouched);
    CHECK(server.misuses() == 0);
    if (calls != nullptr) *calls = server.calls();
    sums_ = disk_.confirmed(std::string(kName) + "/" + kSumsName);
    if (!begun_) return status;
    std::string dump = std::string(kName) + "/" + way_->file + std::string(kIncompleteSuffix);
    for (size_t i = written; i < disk_.writes().size(); ++i) {
      const ServerDisk::Write& write = disk_.writes()[i];
      if (write.path != dump) continue;
      for (const Vouched& piece : vouched.pieces)
        if (write.offset < piece.end && piece.begin < write.offset + write.length)
          FAIL_CHECK("written again: " << write.offset << ", " << write.length << " bytes");
    }
    return status;
  }

  // Batches that a run did not write, because they were there.
  [[nodiscard]] uint64_t most_kept() const { return most_kept_; }

 private:
  Status run_on(DirectoryServer& server, const Vmcore& vmcore, const Journal& vouched) {
    DW_ASSIGN(StandingFiles files, find_standing_files(server, kName));
    StandingDump standing = files.dump;
    begun_ = standing.standing != Standing::kNothing;
    if (standing.standing == Standing::kSealed) return {};
    if (!begun_) {
      DW_ASSIGN(std::unique_ptr<ServerTarget> target,
                ServerTarget::create(server, kName, way_->file));
      return capture_into(*target, vmcore, way_->settings);
    }
    DW_ASSIGN(std::unique_ptr<ServerTarget> target,
              ServerTarget::reopen(server, kName, way_->file));
    DW_ASSIGN(uint64_t kept, resume_into(*target, vmcore, way_->settings));
    CHECK(kept >= vouched.batches);
    most_kept_ = std::max(most_kept_, kept);
    return {};
  }

  const Way* way_;
  TempDir dir_;
  ServerDisk disk_{dir_.path()};
  bool begun_ = false;
  std::vector<std::byte> sums_;  // confirmed by the end of the last run
  uint64_t most_kept_ = 0;
};

// The files of a run that nothing happens to.
struct Whole {
  Whole(const Way& way, const Vmcore& vmcore) {
    Place place(way);
    REQUIRE(place.run(vmcore, {}, &calls).ok());
    dump = read_file(place.path(way.file));
    sums = read_file(place.path(kSumsName));
    names = place.names();
  }

  void check(const Way& way, const Place& place) const {
    CHECK((read_file(place.path(way.file)) == dump));
    CHECK((read_file(place.path(kSumsName)) == sums));
    CHECK(place.names() == names);
  }

  std::string dump;
  std::string sums;
  std::vector<std::string> names;
  uint64_t calls = 0;
};

// A stream has to be gone on with first: behind a frame that did not arrive others may stand.
void check_opens(const Subject& subject, const Way& way, const Place& place) {
  if (way.settings.format != DumpFormat::kKdump) return;
  if (!std::filesystem::exists(place.incomplete())) return;
  compare_dump(place.incomplete(), subject.pages);
}

}  // namespace

TEST_CASE("server: the connection is lost at any call, and the dump is gone on with") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const Way& way : kWays) {
    CAPTURE(std::string(way.file));
    Whole whole(way, subject.vmcore);
    uint64_t most = 0;
    for (uint64_t k = 0; k < whole.calls; k += kThinning) {
      CAPTURE(k);
      Place place(way);
      Status lost = place.run(subject.vmcore, {.lose_at = k, .seed = k + 1});
      if (!lost.ok()) CHECK(lost.error().kind() == ErrorKind::kLost);
      check_opens(subject, way, place);
      Status done = place.run(subject.vmcore, {.seed = k + 2});
      REQUIRE_MESSAGE(done.ok(), text_of(done));
      whole.check(way, place);
      most = std::max(most, place.most_kept());
    }
    CHECK(most == kChunks);
  }
}

TEST_CASE("server: connections are lost again and again") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const Way& way : kWays) {
    CAPTURE(std::string(way.file));
    Whole whole(way, subject.vmcore);
    for (uint64_t seed = 1; seed <= 60; seed += kThinning) {
      CAPTURE(seed);
      Place place(way);
      Status done = Error(ErrorKind::kLost, "not tried yet");
      for (uint64_t turn = 1; !done.ok() && turn < 50; ++turn) {
        uint64_t lose_at = seed * 2654435761U / turn % whole.calls + turn * 3;
        done = place.run(subject.vmcore, {.lose_at = lose_at, .seed = seed + turn});
        if (!done.ok()) CHECK(done.error().kind() == ErrorKind::kLost);
        check_opens(subject, way, place);
      }
      REQUIRE(done.ok());
      whole.check(way, place);
    }
  }
}

TEST_CASE("server: it goes down at any call, and what was not committed is lost") {
  TimeLimit limit(kLimitSeconds);
  Subject subject;
  for (const Way& way : kWays) {
    CAPTURE(std::string(way.file));
    Whole whole(way, subject.vmcore);
    for (uint64_t k = 0; k < whole.calls; k += kThinning) {
      CAPTURE(k);
      Place place(way);
      Status lost = place.run(subject.vmcore, {.lose_at = k, .seed = k + 1});
      if (!lost.ok()) CHECK(lost.error().kind() == ErrorKind::kLost);
      place.disk().cut_power(k + 1);
      check_opens(subject, way, place);
      Status done = place.run(subject.vmcore, {.seed = k + 2});
      REQUIRE_MESSAGE(done.ok(), text_of(done));
      whole.check(way, place);
    }
  }
}
