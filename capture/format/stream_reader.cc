#include "capture/format/stream_reader.h"

#include <algorithm>

namespace dw {

Result<std::unique_ptr<StreamReader>> StreamReader::create(const StreamFile& file) {
  DW_ASSIGN(FrameDecompressor decompressor, FrameDecompressor::create(file.compression_));
  std::unique_ptr<StreamReader> reader(new StreamReader(file, std::move(decompressor)));
  // At least a byte: an empty buffer cannot be asked for.
  DW_ASSIGN(reader->stored_, Buffer::allocate(std::max(1U, file.max_file_bytes_)));
  for (Kept& kept : reader->kept_) {
    DW_ASSIGN(kept.content, Buffer::allocate(std::max(1U, file.max_content_bytes_)));
  }
  return reader;
}

StreamReader::Kept& StreamReader::oldest() {
  return *std::ranges::min_element(kept_, {}, &Kept::used);
}

Result<Bytes> StreamReader::content_of(const StreamFile::Frame& frame) {
  for (Kept& kept : kept_) {
    if (kept.frame != &frame) continue;
    kept.used = ++uses_;
    return Bytes(kept.content.bytes()).first(frame.content_bytes);
  }
  Kept& kept = oldest();
  kept.frame = nullptr;
  MutableBytes stored = stored_.bytes().first(frame.file_bytes);
  DW_TRY(read_exact_at(file_->file_.get(), stored, frame.file_offset));
  MutableBytes content = kept.content.bytes().first(frame.content_bytes);
  Status decompressed = decompressor_.decompress(stored, content);
  if (!decompressed.ok())
    return Error(ErrorKind::kBadInput, "a frame is damaged")
        .at(Where::kOffset, frame.file_offset)
        .hint("copy the dump again from where it was");
  kept.frame = &frame;
  kept.used = ++uses_;
  return Bytes(content);
}

Result<size_t> StreamReader::read_up_to(MutableBytes into, uint64_t offset) {
  size_t done = 0;
  while (done < into.size() && offset + done < file_->content_bytes_) {
    const StreamFile::Frame& frame = file_->frame_at(offset + done);
    DW_ASSIGN(Bytes content, content_of(frame));
    Bytes rest = content.subspan(offset + done - frame.content_offset);
    size_t n = std::min(rest.size(), into.size() - done);
    std::memcpy(into.data() + done, rest.data(), n);
    done += n;
  }
  return done;
}

}  // namespace dw
