#include <doctest/doctest.h>

#include <vector>

#include "initrd-hooks/standalone/superblock.h"

using namespace dw;

namespace {

using Image = std::vector<std::byte>;

void put_text(Image& image, size_t offset, std::string_view text) {
  std::memcpy(image.data() + offset, text.data(), text.size());
}

void put_uuid(Image& image, size_t offset) {
  for (size_t i = 0; i < 16; i++) image[offset + i] = static_cast<std::byte>(0xa0 + i);
}

Image ext_image() {
  Image image(kProbeBytes);
  store<uint32_t>(image, 1024 + 0, 128);
  store<uint32_t>(image, 1024 + 24, 2);
  store<uint16_t>(image, 1080, 0xEF53);
  put_uuid(image, 1128);
  put_text(image, 1144, "crash");
  return image;
}

Image xfs_image() {
  Image image(kProbeBytes);
  put_text(image, 0, "XFSB");
  store<uint32_t>(image, 4, __builtin_bswap32(4096));
  put_uuid(image, 32);
  put_text(image, 108, "twelve bytes");
  return image;
}

constexpr char kUuid[] = "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf";

}  // namespace

TEST_CASE("superblock: ext") {
  auto found = probe_superblock(ext_image());
  REQUIRE(found);
  CHECK(found->kind == FileSystem::Kind::kExt);
  CHECK(found->uuid == kUuid);
  CHECK(found->label == "crash");
}

TEST_CASE("superblock: xfs, with a label that fills its field") {
  auto found = probe_superblock(xfs_image());
  REQUIRE(found);
  CHECK(found->kind == FileSystem::Kind::kXfs);
  CHECK(found->uuid == kUuid);
  CHECK(found->label == "twelve bytes");
}

TEST_CASE("superblock: what no file system has is not taken for one") {
  CHECK_FALSE(probe_superblock(Image(kProbeBytes)));
  Image image = ext_image();
  store<uint16_t>(image, 1080, 0xEF52);
  CHECK_FALSE(probe_superblock(image));
  image = ext_image();
  store<uint32_t>(image, 1024 + 24, 7);
  CHECK_FALSE(probe_superblock(image));
  image = ext_image();
  store<uint32_t>(image, 1024, 0);
  CHECK_FALSE(probe_superblock(image));
  for (uint32_t size : {0u, 256u, 4095u, 131072u}) {
    image = xfs_image();
    store<uint32_t>(image, 4, __builtin_bswap32(size));
    CHECK_FALSE(probe_superblock(image));
  }
}

TEST_CASE("superblock: an external journal is not a file system to mount") {
  Image image = ext_image();
  store<uint32_t>(image, 1024 + 96, 0x8);
  CHECK_FALSE(probe_superblock(image));
}

TEST_CASE("superblock: a device cut anywhere is never read beyond its end") {
  Image ext = ext_image();
  Image xfs = xfs_image();
  for (size_t size = 0; size < kProbeBytes; size++) {
    CHECK(probe_superblock(Image(ext.begin(), ext.begin() + size)).has_value() == (size >= 2048));
    CHECK(probe_superblock(Image(xfs.begin(), xfs.begin() + size)).has_value() == (size >= 512));
  }
}
