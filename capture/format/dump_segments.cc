#include "capture/format/dump_segments.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "capture/base/checked.h"
#include "capture/kernel/notes.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

namespace {

constexpr std::string_view kVmcoreinfoName = "VMCOREINFO";
constexpr uint64_t kX86KernelMap = 0xffffffff80000000;  // __START_KERNEL_map
// The image and what lies behind its last known symbol fit in this (KERNEL_IMAGE_SIZE).
constexpr uint64_t kMaxImageBytes = uint64_t{1} << 30;

void append(std::vector<std::byte>& to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
  to.resize(align_up(to.size(), 4));
}

void append_vmcoreinfo(std::string_view text, DumpNotes& notes) {
  notes.bytes.resize(align_up(notes.bytes.size(), 4));
  uint32_t header[] = {static_cast<uint32_t>(kVmcoreinfoName.size() + 1),
                       static_cast<uint32_t>(text.size()), 0};
  append(notes.bytes, bytes_of(header));
  append(notes.bytes, std::as_bytes(std::span(kVmcoreinfoName.data(), kVmcoreinfoName.size() + 1)));
  notes.vmcoreinfo_offset = notes.bytes.size();
  notes.vmcoreinfo_size = text.size();
  append(notes.bytes, std::as_bytes(std::span(text)));
}

// The part of the kernel's image that VMCOREINFO's symbols reach over.
std::optional<Segment> image_of(const KdumpFile& file) {
  Vmcoreinfo info(file.vmcoreinfo());
  uint64_t low = UINT64_MAX;
  uint64_t high = 0;
  for (const char* name : {"_stext", "init_uts_ns", "swapper_pg_dir", "init_top_pgt", "node_data",
                           "mem_section", "linux_banner", "log_buf", "prb", "vmap_area_list"}) {
    std::optional<uint64_t> symbol = info.symbol(name);
    if (!symbol || *symbol < kX86KernelMap || *symbol > UINT64_MAX - 2 * 4096) continue;
    low = std::min(low, *symbol);
    high = std::max(high, *symbol);
  }
  if (low > high || high - low > kMaxImageBytes) return std::nullopt;
  // Structures begin at their symbol.
  uint64_t begin = align_down(low, 4096);
  uint64_t size = align_up(high + 1, 4096) - begin + 4096;
  return Segment{.file_offset = 0,
                 .virtual_address = begin,
                 .physical_address = begin - kX86KernelMap + file.sub_header().phys_base,
                 .file_size = size,
                 .memory_size = size};
}

}  // namespace

DumpNotes notes_of_dump(const KdumpFile& file) {
  DumpNotes notes;
  notes.bytes.assign(file.notes().begin(), file.notes().end());
  uint64_t offset = file.sub_header().vmcoreinfo_offset - file.layout().notes_offset;
  if (file.vmcoreinfo().empty()) return notes;
  if (range_fits(offset, file.vmcoreinfo().size(), notes.bytes.size())) {
    notes.vmcoreinfo_offset = offset;
    notes.vmcoreinfo_size = file.vmcoreinfo().size();
    return notes;
  }
  NotesSummary summary = summarize_notes(notes.bytes);
  notes.vmcoreinfo_offset = summary.vmcoreinfo_offset;
  notes.vmcoreinfo_size = summary.vmcoreinfo_size;
  if (notes.vmcoreinfo_size == 0) append_vmcoreinfo(file.vmcoreinfo(), notes);
  return notes;
}

KdumpDescription describe_dump(const KdumpFile& file, const DumpNotes& notes, uint64_t ram_pages) {
  const KdumpHeader& header = file.header();
  return {.utsname = header.utsname,
          .crash_seconds = header.seconds,
          .phys_base = file.sub_header().phys_base,
          .cpu_count = static_cast<unsigned>(std::max(1, header.cpu_count)),
          .dump_level = file.sub_header().dump_level,
          .notes = notes.bytes,
          .vmcoreinfo_offset = notes.vmcoreinfo_offset,
          .vmcoreinfo_size = notes.vmcoreinfo_size,
          .max_mapnr = file.max_mapnr(),
          .ram_pages = ram_pages};
}

Machine machine_of(const KdumpFile& file) {
  const char(&machine)[65] = file.header().utsname.machine;
  return std::string_view(machine, ::strnlen(machine, sizeof(machine))) == "aarch64"
             ? Machine::kAarch64
             : Machine::kX86_64;
}

std::vector<Segment> segments_of(const KdumpFile& file, std::span<const PfnRange> ranges) {
  std::vector<Segment> segments;
  uint64_t page_size = file.layout().block_size;
  if (std::optional<Segment> image = image_of(file)) {
    uint64_t begin = image->physical_address;
    bool inside = std::ranges::any_of(ranges, [&](const PfnRange& range) {
      uint64_t at = range.begin * page_size;
      return begin >= at && range_fits(begin - at, image->memory_size, range.end * page_size - at);
    });
    if (inside && machine_of(file) == Machine::kX86_64) segments.push_back(*image);
  }
  for (const PfnRange& range : ranges) {
    uint64_t size = (range.end - range.begin) * page_size;
    segments.push_back({.file_offset = 0,
                        .virtual_address = 0,
                        .physical_address = range.begin * page_size,
                        .file_size = size,
                        .memory_size = size});
  }
  return segments;
}

}  // namespace dw
