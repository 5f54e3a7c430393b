#include <doctest/doctest.h>

#include "initrd-hooks/standalone/modules.h"

using namespace dw;

TEST_CASE("module list: files in order, with parameters") {
  auto modules = parse_module_list("virtio.ko\n\nvirtio-blk.ko queue_depth=8 num=2\nlast.ko");
  REQUIRE(modules.ok());
  REQUIRE(modules->size() == 3);
  CHECK((*modules)[0].file == "virtio.ko");
  CHECK((*modules)[0].parameters.empty());
  CHECK((*modules)[1].file == "virtio-blk.ko");
  CHECK((*modules)[1].parameters == "queue_depth=8 num=2");
  CHECK((*modules)[2].file == "last.ko");
}

TEST_CASE("module list: a path is refused with its line") {
  for (const char* text : {"a.ko\n../b.ko\n", "a.ko\n/b.ko", "a.ko\n parameters\n"}) {
    auto modules = parse_module_list(text);
    REQUIRE_FALSE(modules.ok());
    CHECK(modules.error().kind() == ErrorKind::kBadInput);
    CHECK(modules.error().position() == 2);
  }
}

TEST_CASE("module list: has a limit") {
  std::string text;
  for (size_t i = 0; i < kMaxModules; i++) text += "a.ko\n";
  CHECK(parse_module_list(text).ok());
  CHECK_FALSE(parse_module_list(text + "a.ko\n").ok());
  CHECK(parse_module_list("")->empty());
}

TEST_CASE("module name: as the kernel writes it") {
  CHECK(module_name("crc32c-intel.ko") == "crc32c_intel");
  CHECK(module_name("virtio.ko") == "virtio");
}
