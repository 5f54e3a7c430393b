// Whether a text is one JSON value (RFC 8259), with nothing but blanks around it.
#pragma once

#include <string_view>

namespace dw::test {

[[nodiscard]] bool is_json(std::string_view text);

}  // namespace dw::test
