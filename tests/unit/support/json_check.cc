#include "tests/unit/support/json_check.h"

#include <algorithm>
#include <cctype>

namespace dw::test {

namespace {

class Checker {
 public:
  explicit Checker(std::string_view text) : rest_(text) {}

  bool whole() { return value(0) && (blanks(), rest_.empty()); }

 private:
  static constexpr unsigned kMaxDepth = 32;

  void blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  bool take(char c) {
    blanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool word(std::string_view name) {
    if (!rest_.starts_with(name)) return false;
    rest_.remove_prefix(name.size());
    return true;
  }

  bool string() {
    if (!take('"')) return false;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (static_cast<unsigned char>(rest_[i]) < 0x20) return false;
      if (rest_[i] == '\\')
        ++i;
      else if (rest_[i] == '"')
        return rest_.remove_prefix(i + 1), true;
    }
    return false;
  }

  size_t digits() {
    size_t count = 0;
    for (; !rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_[0])) != 0; ++count)
      rest_.remove_prefix(1);
    return count;
  }

  bool number() {
    (void)word("-");
    if (digits() == 0) return false;
    if (word(".") && digits() == 0) return false;
    if (!word("e")) return true;
    if (!word("+")) (void)word("-");
    return digits() > 0;
  }

  bool members(char end, unsigned depth, bool named) {
    if (take(end)) return true;
    do {
      if (named && !(string() && take(':'))) return false;
      if (!value(depth + 1)) return false;
    } while (take(','));
    return take(end);
  }

  bool value(unsigned depth) {
    blanks();
    if (depth > kMaxDepth || rest_.empty()) return false;
    if (rest_[0] == '"') return string();
    if (take('{')) return members('}', depth, true);
    if (take('[')) return members(']', depth, false);
    return word("true") || word("false") || word("null") || number();
  }

  std::string_view rest_;
};

}  // namespace

bool is_json(std::string_view text) { return Checker(text).whole(); }

}  // namespace dw::test
