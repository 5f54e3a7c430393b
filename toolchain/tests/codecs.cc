// Prints a digest of what each codec makes of the same input. Every compiler and C
// library has to print the same: presets must agree on the compressed bytes.
#include <libdeflate.h>
#include <lz4.h>
#include <lz4hc.h>
#include <xxhash.h>
#include <zstd.h>

#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

using Bytes = std::vector<char>;

// Pages that compress to different degrees, without a source of chance.
static Bytes make_input() {
  Bytes input(256 * 4096);
  uint32_t state = 1;
  for (size_t i = 0; i < input.size(); i++) {
    state = state * 1664525 + 1013904223;
    const uint32_t spread = static_cast<uint32_t>(i / 4096);
    input[i] = static_cast<char>((state >> 24) % (spread + 1));
  }
  return input;
}

static void print(const char* name, std::span<const char> output) {
  std::printf("%s %zu %016llx\n", name, output.size(),
              static_cast<unsigned long long>(XXH3_64bits(output.data(), output.size())));
}

int main() {
  const Bytes input = make_input();
  Bytes output(ZSTD_compressBound(input.size()));
  for (int level : {-5, 1, 3, 9}) {
    const size_t size = ZSTD_compress(output.data(), output.size(), input.data(), input.size(), level);
    if (ZSTD_isError(size)) return 1;
    print("zstd", {output.data(), size});
    Bytes back(input.size());
    if (ZSTD_decompress(back.data(), back.size(), output.data(), size) != input.size() || back != input) return 1;
  }
  const int length = static_cast<int>(input.size());
  const int capacity = static_cast<int>(output.size());
  int size = LZ4_compress_default(input.data(), output.data(), length, capacity);
  print("lz4", {output.data(), static_cast<size_t>(size)});
  size = LZ4_compress_HC(input.data(), output.data(), length, capacity, 9);
  print("lz4hc", {output.data(), static_cast<size_t>(size)});
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  print("libdeflate", {output.data(), libdeflate_zlib_compress(compressor, input.data(), input.size(),
                                                               output.data(), output.size())});
  libdeflate_free_compressor(compressor);
}
