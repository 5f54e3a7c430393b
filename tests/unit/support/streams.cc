#include "tests/unit/support/streams.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "capture/base/checked.h"
#include "capture/codec/frame_compressor.h"
#include "capture/format/flattened_format.h"
#include "capture/format/kdump_format.h"
#include "capture/pipeline/missing_page.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/capture.h"

namespace dw::test {

namespace {

void append(Content& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

class Builder {
 public:
  explicit Builder(const StreamSpec& spec) : spec_(spec) {}

  void add(Bytes frame, size_t content_bytes) {
    size_t begin = stream_.bytes.size();
    append(stream_.bytes, frame);
    stream_.frames.push_back(
        {.begin = begin, .end = stream_.bytes.size(), .content_bytes = content_bytes});
    content_bytes_ += content_bytes;
  }

  void add_content(Bytes content) {
    FrameCompressor compressor = std::move(
        FrameCompressor::create({.compression = spec_.compression}, content.size()).value());
    Content frame(FrameCompressor::bound(content.size()));
    frame.resize(stream_.bytes.empty() ? compressor.store(content, frame)
                                       : compressor.compress(content, frame));
    add(frame, content.size());
  }

  void add_pages(Bytes pages, uint64_t content_offset) {
    Content content(pages.begin(), pages.end());
    MissingMark mark;
    bool any = false;
    for (size_t slot = 0; slot * 4096 < content.size(); ++slot) {
      if (!spec_.missing.contains(content_offset + slot * 4096)) continue;
      any = true;
      ++missing_;
      mark.slots[slot / 8] = static_cast<uint8_t>(mark.slots[slot / 8] | 1U << (slot % 8));
      fill_missing_page(MutableBytes(content).subspan(slot * 4096, 4096));
    }
    add_content(content);
    if (any) add(bytes_of(mark), 0);
  }

  void close() {
    ClosingFrame closing;
    closing.flags = missing_ == 0 ? kClosingWhole : 0;
    closing.content_bytes = content_bytes_;
    closing.frames = stream_.frames.size();
    closing.missing_pages = missing_;
    std::vector<uint64_t> digests;
    for (size_t i = 1; i < stream_.frames.size(); ++i) {
      const BuiltFrame& frame = stream_.frames[i];
      digests.push_back(XXH3_64bits(stream_.bytes.data() + frame.begin, frame.end - frame.begin));
    }
    closing.digest = XXH3_64bits(digests.data(), digests.size() * sizeof(uint64_t));
    if (spec_.change_closing) spec_.change_closing(closing);
    closing.check = closing_check(closing);
    add(bytes_of(closing), 0);
  }

  void add_seek_table() {
    Content table(8);
    for (const BuiltFrame& frame : stream_.frames) {
      append(table, bytes_of(static_cast<uint32_t>(frame.end - frame.begin)));
      append(table, bytes_of(static_cast<uint32_t>(frame.content_bytes)));
    }
    append(table, bytes_of(static_cast<uint32_t>(stream_.frames.size())));
    table.push_back(std::byte{0});
    append(table, bytes_of(kSeekTableFooterMagic));
    store(table, 0, kSeekTableMagic);
    store(table, 4, static_cast<uint32_t>(table.size() - 8));
    add(table, 0);
  }

  BuiltStream take() { return std::move(stream_); }

 private:
  const StreamSpec& spec_;
  BuiltStream stream_;
  uint64_t content_bytes_ = 0;
  uint64_t missing_ = 0;
};

}  // namespace

const PlainDump& plain_dump() {
  static const PlainDump made = [] {
    TemporaryVmcore file(small_crash());
    Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
    MemoryTarget target;
    CaptureSettings settings{.compression = {.compression = Compression::kNone}};
    if (!capture_into(target, vmcore, settings).ok()) throw std::runtime_error("capture_into");
    PlainDump dump{.pages = known_pages(small_crash()), .bytes = target.synced()};
    KdumpReader reader = std::move(KdumpReader::open(memory_file(dump.bytes)).value());
    dump.data_offset = align_up(reader.layout().data_offset, kPageBytes);
    return dump;
  }();
  return made;
}

Content frame_of(Bytes content, Compression compression) {
  StreamSpec spec{.compression = compression};
  Builder builder(spec);
  builder.add_content(content);
  return builder.take().bytes;
}

BuiltStream build_stream(Bytes kdump, uint64_t data_offset, const StreamSpec& spec) {
  Builder builder(spec);
  builder.add_content(kdump.first(sizeof(KdumpHeader)));
  builder.add_content(kdump.subspan(sizeof(KdumpHeader), data_offset - sizeof(KdumpHeader)));
  for (uint64_t at = data_offset; at < kdump.size(); at += spec.frame_bytes)
    builder.add_pages(kdump.subspan(at, std::min<uint64_t>(spec.frame_bytes, kdump.size() - at)),
                      at);
  if (spec.closing) builder.close();
  if (spec.seek_table && spec.compression != Compression::kLz4) builder.add_seek_table();
  return builder.take();
}

Content build_flattened(Bytes content, const std::vector<RecordSpec>& records, bool closed) {
  Content file;
  FlattenedHeader header{.signature = {}, .type = big_endian(1), .version = big_endian(1)};
  std::memcpy(header.signature, kFlattenedSignature, sizeof(header.signature));
  append(file, bytes_of(header));
  file.resize(kFlattenedHeaderBytes);
  for (const RecordSpec& record : records) {
    append(file, bytes_of(FlattenedRecord{.offset = big_endian(static_cast<int64_t>(record.offset)),
                                          .size = big_endian(static_cast<int64_t>(record.size))}));
    append(file, content.subspan(record.offset, record.size));
  }
  if (closed) append(file, bytes_of(FlattenedRecord{.offset = -1, .size = -1}));
  return file;
}

std::vector<RecordSpec> even_records(size_t content_size, size_t size) {
  std::vector<RecordSpec> records;
  for (size_t at = 0; at < content_size; at += size)
    records.push_back({.offset = at, .size = std::min(size, content_size - at)});
  return records;
}

}  // namespace dw::test
