#include "capture/codec/running_digest.h"

#include <doctest/doctest.h>

#include <string>

using namespace dw;

TEST_CASE("running_digest: in pieces and at once") {
  std::string text(5000, 'a');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i);
  Bytes bytes = std::as_bytes(std::span(text));
  RunningDigest again;
  for (size_t cut : {0U, 1U, 255U, 256U, 4999U}) {
    RunningDigest digest;
    digest.add(bytes.first(cut));
    digest.add(bytes.subspan(cut));
    CHECK(digest.value() == digest64(bytes));
    again.add(bytes.first(cut));
    again.reset();
    again.add(bytes);
    CHECK(again.value() == digest64(bytes));
    again.reset();
  }
  CHECK(digest64(bytes, 1) != digest64(bytes));
}
