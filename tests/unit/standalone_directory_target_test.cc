#include <doctest/doctest.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "initrd-hooks/standalone/directory_target.h"

using namespace dw;

TEST_CASE("directory target: a path or file:, nothing else") {
  CHECK(directory_of_target("/var/crash") == "/var/crash");
  CHECK(directory_of_target("crash") == "crash");
  CHECK(directory_of_target("/odd:name") == "/odd:name");
  CHECK(directory_of_target("file:/var/crash") == "/var/crash");
  for (const char* target : {"-", "nfs://h/x", "ssh://u@h/x", "raw:/dev/vda", "dev:UUID=u:/x"})
    CHECK_FALSE(directory_of_target(target));
}

TEST_CASE("directory target: one in memory is refused, there or not, with what to use instead") {
  struct statfs about {};
  REQUIRE(::statfs("/dev/shm", &about) == 0);
  REQUIRE(about.f_type == TMPFS_MAGIC);
  for (const char* path : {"/dev/shm", "/dev/shm/", "/dev/shm/no/such/folder//"}) {
    CAPTURE(path);
    Status status = refuse_memory(path);
    REQUIRE_FALSE(status.ok());
    char text[400];
    status.error().format(text, sizeof(text));
    CHECK(std::string_view(text).find("dev:UUID=...:/DIR") != std::string_view::npos);
    CHECK(status.error().subject() == path);
  }
}

TEST_CASE("directory target: one on another file system is not") {
  CHECK(refuse_memory("/proc").ok());
  CHECK(refuse_memory("/proc/no/such/folder").ok());
}
