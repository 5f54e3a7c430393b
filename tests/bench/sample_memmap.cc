#include "tests/bench/sample_memmap.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "capture/kernel/memmap.h"
#include "tests/golden/memmap_builder.h"

namespace dw::bench {

namespace {

using golden::k6_12;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  // A number below `limit`.
  uint64_t below(uint64_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % limit;
  }

 private:
  uint64_t state_;
};

enum class Kind : uint8_t { kFree, kCache, kAnon, kHugePage, kHugetlb, kSlab, kPageTable, kKernel };

// How many of a thousand extents are of a kind, and how large they may be: blocks up to an order,
// or runs of single pages. Free and huge blocks are rare but large.
struct Mix {
  Kind kind;
  unsigned weight;
  unsigned min_order;
  unsigned max_order;
  unsigned max_run;
};
constexpr std::array kMixes = {
    Mix{Kind::kFree, 170, 0, 10, 1},     Mix{Kind::kFree, 50, 10, 10, 1},
    Mix{Kind::kCache, 180, 0, 0, 300},   Mix{Kind::kCache, 60, 2, 5, 1},
    Mix{Kind::kAnon, 230, 0, 0, 120},    Mix{Kind::kHugePage, 15, 9, 9, 1},
    Mix{Kind::kHugetlb, 15, 9, 9, 1},    Mix{Kind::kSlab, 150, 0, 3, 40},
    Mix{Kind::kPageTable, 60, 0, 0, 20}, Mix{Kind::kKernel, 70, 0, 4, 200},
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed), pages_(kMemmapBytes) {}

  std::vector<std::byte> make() {
    for (uint64_t pfn = 0; pfn < kPagesPerGiB;) pfn += put_extent(pfn, choose());
    return std::move(pages_);
  }

 private:
  template <typename T>
  void put(uint64_t pfn, size_t offset, T value) {
    std::memcpy(pages_.data() + pfn * kStructPageBytes + offset, &value, sizeof(T));
  }

  const Mix& choose() {
    uint64_t dice = random_.below(1000);
    for (const Mix& mix : kMixes) {
      if (dice < mix.weight) return mix;
      dice -= mix.weight;
    }
    return kMixes[0];
  }

  // Returns the number of pages.
  uint64_t put_extent(uint64_t pfn, const Mix& mix) {
    auto order =
        static_cast<unsigned>(mix.min_order + random_.below(mix.max_order - mix.min_order + 1));
    unsigned aligned = pfn == 0 ? 18 : static_cast<unsigned>(std::countr_zero(pfn));
    if (aligned < order && mix.min_order >= 9) return put_run(pfn, Kind::kFree, 1);
    order = std::min(order, aligned);
    if (order == 0) return put_run(pfn, mix.kind, 1 + random_.below(mix.max_run));
    if (mix.kind == Kind::kFree)
      put_free(pfn, order);
    else
      put_compound(pfn, order, mix.kind);
    return uint64_t{1} << order;
  }

  uint64_t put_run(uint64_t pfn, Kind kind, uint64_t count) {
    count = std::min(count, kPagesPerGiB - pfn);
    for (uint64_t i = 0; i < count; ++i) put_single(pfn + i, kind);
    return count;
  }

  void put_single(uint64_t pfn, Kind kind) {
    uint64_t flags = 0;
    int32_t mapcount = -1;
    if (kind == Kind::kCache) flags = 1u << k6_12.lru | 1u << k6_12.referenced;
    if (kind == Kind::kAnon || kind == Kind::kHugePage) {
      flags = 1u << k6_12.lru | 1u << k6_12.swapbacked;
      mapcount = 0;
      put(pfn, golden::kMappingAt, golden::kDirectMap | (pfn << 6 & 0xffffc0) | 1);
    }
    if (kind == Kind::kCache) put(pfn, golden::kMappingAt, golden::kDirectMap | pfn << 6);
    if (kind == Kind::kFree) mapcount = k6_12.buddy;
    if (kind == Kind::kHugetlb) mapcount = *k6_12.hugetlb;
    if (kind == Kind::kSlab) mapcount = *k6_12.slab;
    if (kind == Kind::kPageTable) mapcount = k6_12.page_table;
    put(pfn, golden::kFlagsAt, flags);
    put(pfn, golden::kMapcountAt, mapcount);
  }

  void put_free(uint64_t pfn, unsigned order) {
    for (uint64_t i = 1; i < uint64_t{1} << order; ++i) put_single(pfn + i, Kind::kKernel);
    put_single(pfn, Kind::kFree);
    put(pfn, golden::kPrivateAt, uint64_t{order});
  }

  void put_compound(uint64_t pfn, unsigned order, Kind kind) {
    put_single(pfn, kind);
    uint64_t flags;
    std::memcpy(&flags, pages_.data() + pfn * kStructPageBytes, sizeof(flags));
    put(pfn, golden::kFlagsAt, flags | 1u << k6_12.head);
    uint64_t head = 0xffffea0000000000 + pfn * kStructPageBytes;
    for (uint64_t i = 1; i < uint64_t{1} << order; ++i) {
      put_single(pfn + i, Kind::kKernel);
      put(pfn + i, golden::kCompoundHeadAt, head | 1);
      put(pfn + i, golden::kMappingAt, uint64_t{0xdead000000000400});
    }
    put(pfn + 1, golden::kFlagsAt, uint64_t{order});
  }

  Random random_;
  std::vector<std::byte> pages_;
};

}  // namespace

void fail(const char* what) {
  std::fprintf(stderr, "bench: %s\n", what);
  std::exit(1);
}

std::string page_key_lines(const std::string& vmcoreinfo, bool page_keys) {
  constexpr std::array<std::string_view, 7> kPrefixes = {
      "OSRELEASE=",   "OFFSET(page.",   "OFFSET(folio.",         "NUMBER(PG_",
      "NUMBER(PAGE_", "NUMBER(HUGETLB", "LENGTH(zone.free_area)"};
  std::string lines;
  for (size_t at = 0; at < vmcoreinfo.size();) {
    size_t end = std::min(vmcoreinfo.find('\n', at), vmcoreinfo.size());
    std::string line = vmcoreinfo.substr(at, end - at);
    bool about_pages =
        std::ranges::any_of(kPrefixes, [&](std::string_view p) { return line.starts_with(p); });
    if (about_pages == page_keys && !line.empty()) lines += line + "\n";
    at = end + 1;
  }
  return lines;
}

SampleMemmap make_sample_memmap(uint64_t seed) {
  golden::KernelBuilder builder(golden::KernelSpec{.era = &k6_12});
  return {.struct_pages = Generator(seed).make(),
          .page_keys = page_key_lines(builder.vmcoreinfo(), true)};
}

SampleMemmap read_sample_memmap(const char* path) {
  Result<Vmcore> vmcore = Vmcore::open(path);
  if (!vmcore.ok()) fail("the real vmcore cannot be opened");
  VmcoreLayout layout = find_layout(*vmcore);
  if (!layout.usable() || layout.page.struct_page_bytes != kStructPageBytes)
    fail("the real vmcore has no usable struct pages of 64 bytes");
  KernelMemory memory(*vmcore, layout.translation);
  Memmap memmap(layout, memory);
  SampleMemmap sample{.struct_pages = std::vector<std::byte>(kMemmapBytes), .page_keys = {}};
  uint64_t section_bytes = kStructPageBytes << layout.memmap.section_pages_order;
  for (uint64_t number = 0; number * section_bytes < kMemmapBytes; ++number) {
    Section section = memmap.section(number);
    MutableBytes into =
        std::span(sample.struct_pages).subspan(number * section_bytes, section_bytes);
    if (section.state != Section::State::kOnline || !memory.read(section.struct_pages, into).ok())
      fail("the real vmcore lacks struct pages of its first GiB");
  }
  sample.page_keys = page_key_lines(std::string(vmcoreinfo_of(*vmcore).text()), true);
  return sample;
}

}  // namespace dw::bench
