#include "capture/codec/zero.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dw {

namespace {

using ZeroTest = bool (*)(const std::byte* at, const std::byte* end);

bool is_zero_plain(const std::byte* at, const std::byte* end) {
  for (; at != end; at += 64) {
    uint64_t words[8];
    std::memcpy(words, at, sizeof(words));
    if (((words[0] | words[1]) | (words[2] | words[3]) | (words[4] | words[5]) |
         (words[6] | words[7])) != 0)
      return false;
  }
  return true;
}

#if defined(__x86_64__)

bool is_zero_sse2(const std::byte* at, const std::byte* end) {
  auto vector = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at) + i); };
  for (; at != end; at += 64) {
    __m128i any =
        _mm_or_si128(_mm_or_si128(vector(0), vector(1)), _mm_or_si128(vector(2), vector(3)));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128())) != 0xffff) return false;
  }
  return true;
}

// The wide ones first look at 64 bytes alone: most pages that are not zero show it there. Then a
// step is as long as what is left allows.
[[gnu::target("avx2")]] bool is_zero_avx2(const std::byte* at, const std::byte* end) {
  while (at != end) {
    const auto* vectors = reinterpret_cast<const __m256i*>(at);
    __m256i any = _mm256_or_si256(_mm256_loadu_si256(vectors), _mm256_loadu_si256(vectors + 1));
    if (_mm256_testz_si256(any, any) == 0) return false;
    at += 64;
    for (; end - at >= 256; at += 256) {
      vectors = reinterpret_cast<const __m256i*>(at);
      any = _mm256_setzero_si256();
      for (int i = 0; i < 8; ++i) any = _mm256_or_si256(any, _mm256_loadu_si256(vectors + i));
      if (_mm256_testz_si256(any, any) == 0) return false;
    }
  }
  return true;
}

[[gnu::target("avx512f")]] bool is_zero_avx512(const std::byte* at, const std::byte* end) {
  while (at != end) {
    __m512i any = _mm512_loadu_si512(at);
    if (_mm512_test_epi64_mask(any, any) != 0) return false;
    at += 64;
    for (; end - at >= 256; at += 256) {
      any = _mm512_or_si512(
          _mm512_or_si512(_mm512_loadu_si512(at), _mm512_loadu_si512(at + 64)),
          _mm512_or_si512(_mm512_loadu_si512(at + 128), _mm512_loadu_si512(at + 192)));
      if (_mm512_test_epi64_mask(any, any) != 0) return false;
    }
  }
  return true;
}

#endif

// Null: this CPU does not have it.
ZeroTest find_variant(ZeroVariant variant) {
#if defined(__x86_64__)
  // The system's part, saving the wide registers, is looked at too.
  __builtin_cpu_init();
  switch (variant) {
    case ZeroVariant::kPlain:
      break;
    case ZeroVariant::kSse2:
      return is_zero_sse2;
    case ZeroVariant::kAvx2:
      return __builtin_cpu_supports("avx2") != 0 ? is_zero_avx2 : nullptr;
    case ZeroVariant::kAvx512:
      return __builtin_cpu_supports("avx512f") != 0 ? is_zero_avx512 : nullptr;
  }
#endif
  return variant == ZeroVariant::kPlain ? is_zero_plain : nullptr;
}

ZeroTest find_best() {
  for (ZeroVariant variant : {ZeroVariant::kAvx512, ZeroVariant::kAvx2, ZeroVariant::kSse2})
    if (ZeroTest found = find_variant(variant); found != nullptr) return found;
  return is_zero_plain;
}

bool run(ZeroTest test, Bytes bytes) {
  DW_CHECK(bytes.size() % 64 == 0);
  return test(bytes.data(), bytes.data() + bytes.size());
}

}  // namespace

bool is_zero(Bytes bytes) {
  static const ZeroTest best = find_best();
  return run(best, bytes);
}

bool has_zero_variant(ZeroVariant variant) { return find_variant(variant) != nullptr; }

bool is_zero_by(ZeroVariant variant, Bytes bytes) {
  ZeroTest test = find_variant(variant);
  DW_CHECK(test != nullptr);
  return run(test, bytes);
}

}  // namespace dw
