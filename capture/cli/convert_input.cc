#include "capture/cli/convert_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/base/buffer.h"
#include "capture/cli/crash_facts.h"
#include "capture/format/dump_page_source.h"
#include "capture/format/dump_plan.h"
#include "capture/format/dump_segments.h"
#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/presence.h"
#include "capture/target/output_file.h"

namespace dw {

namespace {

const char* kind_text(DumpKind kind) {
  switch (kind) {
    case DumpKind::kFlattened:
      return "a flattened kdump file";
    case DumpKind::kZstdStream:
      return "a zstd stream";
    case DumpKind::kLz4Stream:
      return "an LZ4 stream";
    default:
      return "a kdump file";
  }
}

// Of the plan alone.
uint64_t plan_bytes(uint64_t windows, bool with_digests) {
  constexpr uint64_t kPerWindow = 16;
  uint64_t per_chunk = sizeof(uint16_t) + (with_digests ? sizeof(uint32_t) : 0);
  return windows * (kPerWindow + kWindowChunks * per_chunk);
}

class DumpInput : public ConvertInput {
 public:
  static Result<std::unique_ptr<ConvertInput>> open(ReadableFile file) {
    DW_ASSIGN(OpenDump dump, open_dump(std::move(file)));
    DW_ASSIGN(KdumpReader reader, KdumpReader::create(dump.file));
    DW_ASSIGN(DumpMemory memory, read_memory(reader, kMaxProgramHeaders));
    return std::unique_ptr<ConvertInput>(
        new DumpInput(dump.kind, std::move(reader), std::move(memory)));
  }

  [[nodiscard]] const char* kind() const override { return kind_text(kind_); }
  [[nodiscard]] uint64_t page_size() const override { return reader_.layout().block_size; }
  [[nodiscard]] bool incomplete() const override { return reader_.incomplete(); }
  [[nodiscard]] std::optional<uint64_t> cut_at() const override {
    return reader_.file()->source().cut_at();
  }
  Status verify() override {
    DW_TRY(check_counts());
    return reader_.file()->source().verify();
  }

  DumpDescription description() override {
    DumpDescription description;
    description.kdump = describe_dump(*reader_.file(), notes_, memory_.ram_pages);
    description.elf = {.machine = machine_of(*reader_.file()),
                       .notes = notes_.bytes,
                       .segments = segments_,
                       .ranges = memory_.ranges};
    description.presence = [this](uint64_t first_pfn, MutableBytes bits) {
      return reader_.read_present_bits(first_pfn, bits);
    };
    return description;
  }

  Result<Plan> plan(const WindowBitmaps& bitmaps, const PassOneOptions& options,
                    unsigned) override {
    bool stream = kind_ == DumpKind::kZstdStream || kind_ == DumpKind::kLz4Stream;
    return make_plan(reader_, memory_, stream, options.with_digests, bitmaps);
  }

  PageSourceFactory sources() override {
    return [this] { return DumpPageSource::create(reader_.file(), damage_); };
  }
  std::optional<Error> damage() override { return damage_.first(); }

  [[nodiscard]] MemoryNeeds memory_needs(bool with_digests) const override {
    uint64_t reader = KdumpReader::memory_bytes(*reader_.file());
    return {.fixed = plan_bytes(memory_.windows.size(), with_digests) + reader +
                     reader_.file()->source().index_bytes() +
                     memory_.ranges.size() * (sizeof(PfnRange) + sizeof(Segment)),
            .per_thread = reader};
  }

 private:
  DumpInput(DumpKind kind, KdumpReader reader, DumpMemory memory)
      : kind_(kind),
        reader_(std::move(reader)),
        memory_(std::move(memory)),
        notes_(notes_of_dump(*reader_.file())),
        segments_(segments_of(*reader_.file(), memory_.ranges)) {}

  // A bit too many or too few in the second bitmap gives pages each other's descriptors. Some
  // writers leave the counts at 0; what does not fit stands as the largest number.
  Status check_counts() const {
    auto fits = [](uint32_t told, uint64_t counted) {
      return told == 0 || told == std::min<uint64_t>(counted, UINT32_MAX);
    };
    if (fits(reader_.header().written_blocks, reader_.layout().descriptor_count) &&
        fits(reader_.header().total_ram_blocks, memory_.ram_pages))
      return {};
    return Error(ErrorKind::kBadInput, "the bitmaps have other numbers of pages than the header")
        .at(Where::kOffset,
            reader_.file()->source().file_offset(reader_.layout().first_bitmap_offset))
        .hint("the dump is damaged; copy it again from where it was");
  }

  DumpKind kind_;
  KdumpReader reader_;
  DumpMemory memory_;
  DumpNotes notes_;
  std::vector<Segment> segments_;
  DamageReport damage_;
};

// Every page of it is kept: to filter one is what `capture --source` is for.
class VmcoreInput : public ConvertInput {
 public:
  static Result<std::unique_ptr<ConvertInput>> open(ReadableFile file) {
    DW_ASSIGN(Vmcore vmcore, Vmcore::open(std::move(file)));
    return std::unique_ptr<ConvertInput>(new VmcoreInput(std::move(vmcore)));
  }

  [[nodiscard]] const char* kind() const override { return "an ELF vmcore"; }
  [[nodiscard]] uint64_t page_size() const override { return vmcore_.page_size(); }

  DumpDescription description() override {
    const std::vector<std::byte>& notes = vmcore_.headers().notes;
    DumpDescription description;
    description.kdump = {.utsname = facts_.utsname,
                         .crash_seconds = facts_.crash_seconds,
                         .phys_base = facts_.phys_base,
                         .cpu_count = facts_.notes.cpu_count,
                         .notes = notes,
                         .vmcoreinfo_offset = facts_.notes.vmcoreinfo_offset,
                         .vmcoreinfo_size = facts_.notes.vmcoreinfo_size,
                         .max_mapnr = vmcore_.memory().end_pfn(),
                         .ram_pages = vmcore_.memory().page_count()};
    description.elf = {.machine = vmcore_.headers().machine,
                       .notes = notes,
                       .segments = vmcore_.headers().segments,
                       .ranges = vmcore_.memory().pfn_ranges()};
    description.presence = [this](uint64_t first_pfn, MutableBytes bits) -> Status {
      present_bits(vmcore_.memory(), first_pfn, bits);
      return {};
    };
    return description;
  }

  Result<Plan> plan(const WindowBitmaps& bitmaps, const PassOneOptions& options,
                    unsigned threads) override {
    DW_ASSIGN(PassOne pass, PassOne::create(vmcore_, layout_, 0, threads));
    DW_ASSIGN(PassOneResult result, pass.run(bitmaps, options));
    return std::move(result.plan);
  }

  PageSourceFactory sources() override {
    return [this] { return VmcorePageSource::create(vmcore_, layout_, 0); };
  }

  [[nodiscard]] MemoryNeeds memory_needs(bool with_digests) const override {
    return {.fixed = Plan::memory_bytes(vmcore_.memory(), with_digests),
            .per_thread = VmcorePageSource::memory_bytes() + WindowClassifier::memory_bytes()};
  }

 private:
  explicit VmcoreInput(Vmcore vmcore)
      : vmcore_(std::move(vmcore)), facts_(read_crash_facts(vmcore_)) {}

  Vmcore vmcore_;
  CrashFacts facts_;
  VmcoreLayout layout_;  // of no known kernel: nothing is left out
};

Status copy_to_end(int from, int to) {
  DW_ASSIGN(Buffer buffer, Buffer::allocate(1 << 20));
  for (uint64_t at = 0;;) {
    ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n == 0) return {};
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno("cannot read").at(Where::kOffset, at);
    DW_TRY(write_all_at(to, buffer.bytes().first(static_cast<size_t>(n)), at));
    at += static_cast<uint64_t>(n);
  }
}

// A dump is read here and there, which a pipe cannot do.
Result<Fd> open_standard_input(const std::string& folder) {
  struct stat status;
  Fd input(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!input.valid() || ::fstat(input.get(), &status) != 0) return Error::from_errno("cannot read");
  if (S_ISREG(status.st_mode)) return input;
  DW_ASSIGN(Fd file, open_nameless_file(folder));
  DW_TRY(copy_to_end(input.get(), file.get()));
  return file;
}

}  // namespace

Result<std::unique_ptr<ConvertInput>> open_convert_input(ReadableFile file) {
  DW_ASSIGN(DumpKind kind, dump_kind(file.get()));
  if (kind == DumpKind::kElf) return VmcoreInput::open(std::move(file));
  return DumpInput::open(std::move(file));
}

Result<std::unique_ptr<ConvertInput>> open_convert_stdin(const std::string& folder) {
  DW_ASSIGN(Fd fd, open_standard_input(folder));
  DW_ASSIGN(DumpKind kind, dump_kind(fd.get()));
  if (kind == DumpKind::kElf)
    return Error(ErrorKind::kUnsupported, "an ELF vmcore on standard input")
        .hint("name the file instead");
  return DumpInput::open(std::move(fd));
}

}  // namespace dw
