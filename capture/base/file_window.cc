#include "capture/base/file_window.h"

#include <algorithm>
#include <vector>

#include "capture/base/checked.h"

namespace dw {

Result<Bytes> FileWindow::look(uint64_t offset, size_t count) {
  DW_CHECK(count <= kBytes);
  bool inside = offset >= begin_ && range_fits(offset - begin_, count, filled_);
  if (!inside) {
    filled_ = 0;
    begin_ = offset;
    DW_ASSIGN(filled_, read_up_to_at(file_, bytes_, offset));
  }
  return Bytes(bytes_).subspan(offset - begin_,
                               std::min<uint64_t>(count, filled_ - (offset - begin_)));
}

Result<uint64_t> end_without_zeros(const FileView& file, uint64_t size) {
  constexpr uint64_t kPiece = 64 << 10;
  std::vector<std::byte> piece(kPiece);
  for (uint64_t end = size; end > 0;) {
    uint64_t begin = align_down(end - 1, kPiece);
    MutableBytes bytes = MutableBytes(piece).first(end - begin);
    DW_TRY(read_exact_at(file, bytes, begin));
    while (!bytes.empty() && bytes.back() == std::byte{0}) bytes = bytes.first(bytes.size() - 1);
    if (!bytes.empty()) return begin + bytes.size();
    end = begin;
  }
  return uint64_t{0};
}

}  // namespace dw
