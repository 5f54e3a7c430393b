// Frames of the stream format. The first byte of the input says which codec and how long the
// content is; the rest is content to compress, and a frame to decompress.
#include <algorithm>
#include <vector>

#include "capture/codec/frame_compressor.h"
#include "capture/codec/frame_decompressor.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;

constexpr size_t kMaxContent = size_t{1} << 18;
using Content = std::vector<std::byte>;

struct Codec {
  explicit Codec(Compression compression)
      : compressor(
            std::move(FrameCompressor::create({.compression = compression}, kMaxContent).value())),
        decompressor(std::move(FrameDecompressor::create(compression).value())) {}

  FrameCompressor compressor;
  FrameDecompressor decompressor;
};

void check_comes_back(Codec& codec, const Content& content, bool compressed) {
  Content out(FrameCompressor::bound(content.size()));
  size_t size =
      compressed ? codec.compressor.compress(content, out) : codec.compressor.store(content, out);
  fuzz::require(size <= out.size());
  // Copies of their own, so that a sanitizer sees a step too far.
  Content frame(out.begin(), out.begin() + static_cast<ptrdiff_t>(size));
  Content back(content.size());
  fuzz::require(codec.decompressor.decompress(frame, back).ok());
  fuzz::require(back == content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Codec codecs[] = {Codec(Compression::kNone), Codec(Compression::kZstd),
                           Codec(Compression::kLz4)};
  if (size == 0) return 0;
  Codec& codec = codecs[data[0] % 3];
  const auto* bytes = reinterpret_cast<const std::byte*>(data + 1);
  Content input(bytes, bytes + (size - 1));

  Content content(size_t{1} << (data[0] >> 4));
  for (size_t i = 0; !input.empty() && i < content.size(); ++i)
    content[i] = input[i % input.size()];
  check_comes_back(codec, content, true);
  check_comes_back(codec, content, false);

  for (size_t length : {size_t{0}, size_t{1}, size_t{1000}, content.size()}) {
    Content back(length);
    (void)codec.decompressor.decompress(input, back);
  }
  return 0;
}
