// How fast and how small each codec is, on pages of a real vmcore.
//
//   codec_bench VMCORE [PAGES [ROUNDS]]
//
// Takes pages that are not zero, each content once, in runs of neighbours from all over the memory
// (default: 100,000 pages), and runs every codec over all of them, one after the other, in each of
// ROUNDS rounds (default: 5); shows the fastest round. Time is CPU time of this one thread. MB is
// 10^6 bytes. "pages": each page on its own, as in the kdump format; "frames": 256 pages in a
// frame, as in the stream format.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "capture/codec/frame_compressor.h"
#include "capture/codec/page_compressor.h"
#include "capture/codec/zero.h"
#include "capture/source/vmcore.h"

namespace {

using namespace dw;

constexpr size_t kPage = 4096;
constexpr size_t kFramePages = 256;

using Pages = std::vector<std::byte>;

double cpu_seconds() {
  timespec now;
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) std::abort();
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The pages' share that were left out is told, because it says how much else there is to gain.
struct Sample {
  Pages pages;
  size_t zero = 0;
  size_t duplicate = 0;
  std::unordered_set<std::string> seen;

  [[nodiscard]] size_t count() const { return pages.size() / kPage; }

  void add(Bytes page) {
    if (is_zero(page)) {
      ++zero;
    } else if (!seen.emplace(reinterpret_cast<const char*>(page.data()), page.size()).second) {
      ++duplicate;
    } else {
      pages.insert(pages.end(), page.begin(), page.end());
    }
  }
};

// Runs of neighbours from all over the memory: a page in a frame stands beside those it had.
Sample take_sample(const Vmcore& vmcore, size_t wanted) {
  constexpr uint64_t kStride = 1000003;  // a prime, so that every run comes once
  uint64_t runs = vmcore.memory().end_pfn() / kFramePages;
  Sample sample;
  VmcoreReader reader(vmcore);
  Pages run(64 * kPage);
  for (uint64_t i = 0; i < runs && sample.count() < wanted; ++i) {
    uint64_t begin = i * kStride % runs * kFramePages;
    for (uint64_t pfn = begin; pfn < begin + kFramePages; pfn += 64) {
      uint64_t there = reader.read_pages(pfn, 64, run);
      for (unsigned k = 0; k < 64; ++k)
        if ((there >> k & 1) != 0) sample.add(Bytes(run).subspan(k * kPage, kPage));
    }
  }
  sample.pages.resize(sample.count() / kFramePages * kFramePages * kPage);
  return sample;
}

struct Case {
  std::string name;
  std::function<size_t(const Pages&)> run;  // returns the bytes that come out
  double seconds = 1e9;
  size_t size = 0;
};

Case page_case(const char* name) {
  auto compressor = std::make_shared<PageCompressor>(
      std::move(PageCompressor::create(*parse_compression(name), kPage).value()));
  return {std::string("pages  ") + name, [compressor](const Pages& pages) {
            std::byte out[kPage];
            size_t sum = 0;
            for (size_t at = 0; at < pages.size(); at += kPage) {
              size_t n = compressor->compress(Bytes(pages).subspan(at, kPage), out);
              sum += n != 0 ? n : kPage;
            }
            return sum;
          }};
}

Case frame_case(const char* name) {
  constexpr size_t kFrame = kFramePages * kPage;
  auto compressor = std::make_shared<FrameCompressor>(
      std::move(FrameCompressor::create(*parse_compression(name), kFrame).value()));
  return {std::string("frames ") + name,
          [compressor, out = Pages(FrameCompressor::bound(kFrame))](const Pages& pages) mutable {
            size_t sum = 0;
            for (size_t at = 0; at < pages.size(); at += kFrame)
              sum += compressor->compress(Bytes(pages).subspan(at, kFrame), out);
            return sum;
          }};
}

// Over pages of zeros, which have to be read to their ends. They lie in the second cache, as a page
// does that was just copied.
Case zero_case(const char* name, ZeroVariant variant) {
  return {std::string("zero   ") + name,
          [variant, zeros = Pages(64 * kPage)](const Pages& pages) -> size_t {
            size_t found = 0;
            for (size_t at = 0; at < pages.size(); at += kPage)
              found += is_zero_by(variant, Bytes(zeros).subspan(at % zeros.size(), kPage)) ? 1 : 0;
            if (found * kPage != pages.size()) std::abort();
            return 0;
          }};
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* name : {"zstd:1", "zstd:2", "zstd:3", "zstd:-1", "zstd:-2", "zstd:-3", "zstd:-5",
                           "zstd:-10", "zlib:1", "zlib:2", "zlib:3", "zlib:6"})
    cases.push_back(page_case(name));
  for (const char* name : {"zstd:1", "zstd:2", "zstd:3", "zstd:-1", "zstd:-3", "zstd:-5", "lz4:1",
                           "lz4:-1", "lz4:-3", "none"})
    cases.push_back(frame_case(name));
  struct Variant {
    const char* name;
    ZeroVariant variant;
  };
  for (auto [name, variant] :
       {Variant{"plain", ZeroVariant::kPlain}, Variant{"SSE2", ZeroVariant::kSse2},
        Variant{"AVX2", ZeroVariant::kAvx2}, Variant{"AVX-512", ZeroVariant::kAvx512}})
    if (has_zero_variant(variant)) cases.push_back(zero_case(name, variant));
  return cases;
}

void print_table(const std::vector<Case>& cases, size_t bytes) {
  std::printf("| what | MB/s | size | beside pages zstd:1 |\n|---|---:|---:|---:|\n");
  for (const Case& one : cases) {
    std::printf("| %s | %.0f |", one.name.c_str(), static_cast<double>(bytes) / one.seconds / 1e6);
    if (one.size == 0)
      std::printf(" | |\n");
    else
      std::printf(" %.4f | %.3f |\n", static_cast<double>(one.size) / static_cast<double>(bytes),
                  static_cast<double>(one.size) / static_cast<double>(cases.front().size));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: codec_bench VMCORE [PAGES [ROUNDS]]\n");
    return 2;
  }
  Result<Vmcore> vmcore = Vmcore::open(argv[1]);
  if (!vmcore.ok() || vmcore->page_size() != kPage) {
    std::fprintf(stderr, "%s: no vmcore with pages of 4 KiB\n", argv[1]);
    return 1;
  }
  Sample sample = take_sample(*vmcore, argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100000);
  unsigned long rounds = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 5;
  if (sample.count() == 0 || rounds == 0) {
    std::fprintf(stderr, "%s: nothing to compress\n", argv[1]);
    return 1;
  }
  std::printf("%zu pages; left out: %zu zero, %zu of a content that was there\n\n", sample.count(),
              sample.zero, sample.duplicate);
  std::vector<Case> cases = all_cases();
  for (unsigned long round = 0; round < rounds; ++round)
    for (Case& one : cases) {
      double begin = cpu_seconds();
      one.size = one.run(sample.pages);
      one.seconds = std::min(one.seconds, cpu_seconds() - begin);
    }
  print_table(cases, sample.pages.size());
  return 0;
}
