// VMCOREINFO: the `KEY=value` lines in which a kernel describes itself to dump tools.
//
// Source: kernel/vmcore_info.c (earlier kernel/crash_core.c) and Documentation/admin-guide/kdump/
// vmcoreinfo.rst. The text is untrusted; a key that is missing or malformed reads as absent.
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "capture/base/bytes.h"

namespace dw {

class Vmcoreinfo {
 public:
  Vmcoreinfo() = default;
  // `text` must outlive the object; lines are parsed when asked for.
  explicit Vmcoreinfo(std::string_view text) : text_(text) {}

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::string_view text() const { return text_; }

  // The value of `key`, without the line end. The first line wins where a key stands twice.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;

  // SYMBOL(name): a virtual address, hexadecimal without 0x.
  [[nodiscard]] std::optional<uint64_t> symbol(std::string_view name) const;
  // SIZE(name), OFFSET(name), LENGTH(name): bytes or elements, decimal.
  [[nodiscard]] std::optional<uint64_t> size(std::string_view name) const;
  [[nodiscard]] std::optional<uint64_t> offset(std::string_view name) const;
  [[nodiscard]] std::optional<uint64_t> length(std::string_view name) const;
  // NUMBER(name): signed, decimal or 0x-hexadecimal. Values that the kernel prints with %ld of an
  // unsigned 32-bit constant compare as int32.
  [[nodiscard]] std::optional<int64_t> number(std::string_view name) const;

  // Plain keys.
  [[nodiscard]] std::optional<std::string_view> os_release() const { return find("OSRELEASE"); }
  [[nodiscard]] std::optional<std::string_view> build_id() const { return find("BUILD-ID"); }
  [[nodiscard]] std::optional<uint64_t> page_size() const;
  // Seconds since 1970, set at the moment of the panic; 0 or absent before.
  [[nodiscard]] std::optional<uint64_t> crash_time() const;
  // KERNELOFFSET, hexadecimal: where KASLR put the kernel image, as a difference.
  [[nodiscard]] std::optional<uint64_t> kernel_offset() const;

 private:
  [[nodiscard]] std::optional<std::string_view> find_wrapped(std::string_view kind,
                                                             std::string_view name) const;

  std::string_view text_;
};

}  // namespace dw
