#include "capture/kernel/vmcoreinfo.h"

#include <charconv>

namespace dw {

namespace {

template <typename T>
std::optional<T> parse(std::optional<std::string_view> text, int base) {
  if (!text || text->empty()) return std::nullopt;
  T value{};
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value, base);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string_view> Vmcoreinfo::find(std::string_view key) const {
  if (key.empty()) return std::nullopt;
  for (size_t at = text_.find(key); at != std::string_view::npos; at = text_.find(key, at + 1)) {
    bool line_start = at == 0 || text_[at - 1] == '\n';
    size_t equals = at + key.size();
    if (!line_start || equals >= text_.size() || text_[equals] != '=') continue;
    std::string_view value = text_.substr(equals + 1);
    return value.substr(0, value.find('\n'));
  }
  return std::nullopt;
}

std::optional<std::string_view> Vmcoreinfo::find_wrapped(std::string_view kind,
                                                         std::string_view name) const {
  char key[128];
  if (kind.size() + name.size() + 2 > sizeof(key)) return std::nullopt;
  size_t n = kind.copy(key, kind.size());
  key[n++] = '(';
  n += name.copy(key + n, name.size());
  key[n++] = ')';
  return find({key, n});
}

std::optional<uint64_t> Vmcoreinfo::symbol(std::string_view name) const {
  return parse<uint64_t>(find_wrapped("SYMBOL", name), 16);
}

std::optional<uint64_t> Vmcoreinfo::size(std::string_view name) const {
  return parse<uint64_t>(find_wrapped("SIZE", name), 10);
}

std::optional<uint64_t> Vmcoreinfo::offset(std::string_view name) const {
  return parse<uint64_t>(find_wrapped("OFFSET", name), 10);
}

std::optional<uint64_t> Vmcoreinfo::length(std::string_view name) const {
  return parse<uint64_t>(find_wrapped("LENGTH", name), 10);
}

std::optional<int64_t> Vmcoreinfo::number(std::string_view name) const {
  std::optional<std::string_view> text = find_wrapped("NUMBER", name);
  if (text && text->starts_with("0x")) {
    std::optional<uint64_t> value = parse<uint64_t>(text->substr(2), 16);
    if (!value) return std::nullopt;
    return static_cast<int64_t>(*value);
  }
  return parse<int64_t>(text, 10);
}

std::optional<uint64_t> Vmcoreinfo::page_size() const {
  return parse<uint64_t>(find("PAGESIZE"), 10);
}

std::optional<uint64_t> Vmcoreinfo::crash_time() const {
  return parse<uint64_t>(find("CRASHTIME"), 10);
}

std::optional<uint64_t> Vmcoreinfo::kernel_offset() const {
  return parse<uint64_t>(find("KERNELOFFSET"), 16);
}

}  // namespace dw
