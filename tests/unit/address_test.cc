#include "capture/target/address.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace dw;

namespace {

TargetAddress good(std::string_view target) {
  CAPTURE(std::string(target));
  Result<TargetAddress> address = parse_target_address(target);
  REQUIRE(address.ok());
  return *address;
}

}  // namespace

TEST_CASE("address: directories and standard output") {
  CHECK(good("/var/crash").kind == TargetKind::kDirectory);
  CHECK(good("/var/crash").path == "/var/crash");
  CHECK(good("file:/var/crash").path == "/var/crash");
  CHECK(good("file:-").path == "-");
  CHECK(good("file:-").kind == TargetKind::kDirectory);
  CHECK(good("file:a:b").path == "a:b");
  CHECK(good("./a:b").path == "./a:b");
  CHECK(good("-").kind == TargetKind::kStdout);
}

TEST_CASE("address: devices") {
  CHECK(good("dev:UUID=1234:/crash").kind == TargetKind::kDevice);
  CHECK(good("dev:UUID=1234:/crash").path == "UUID=1234:/crash");
  TargetAddress raw = good("raw:/dev/vdb");
  CHECK(raw.kind == TargetKind::kRaw);
  CHECK(raw.path == "/dev/vdb");
  CHECK_FALSE(raw.force);
  CHECK_FALSE(raw.overwrite);
  raw = good("raw:/dev/vdb?force=yes&overwrite=yes");
  CHECK(raw.path == "/dev/vdb");
  CHECK(raw.force);
  CHECK(raw.overwrite);
  CHECK_FALSE(good("raw:/dev/vdb?force=no").force);
  CHECK(raw.partition_uuid.empty());
  for (const char* text : {"raw:PARTUUID=5A3b7c21-02?overwrite=yes",
                           "raw:/dev/disk/by-partuuid/5a3b7c21-02?overwrite=yes"}) {
    raw = good(text);
    CHECK(raw.partition_uuid == "5a3b7c21-02");
    CHECK(raw.path == "/dev/disk/by-partuuid/5a3b7c21-02");
    CHECK(raw.overwrite);
  }
}

TEST_CASE("address: SSH") {
  TargetAddress address = good("ssh://kdump@dumps.example.org/var/crash");
  CHECK(address.kind == TargetKind::kSsh);
  CHECK(address.user == "kdump");
  CHECK(address.host == "dumps.example.org");
  CHECK_FALSE(address.port);
  CHECK(address.path == "/var/crash");
  CHECK(good("ssh://a@h:2222/d").port == 2222);
  address = good("ssh://user@domain@[fe80::1%eth0]:22/d");
  CHECK(address.user == "user@domain");
  CHECK(address.host == "fe80::1%eth0");
  CHECK(address.port == 22);
  CHECK(good("ssh://a@[::1]/d@e:f").path == "/d@e:f");
}

TEST_CASE("address: NFS") {
  TargetAddress address = good("nfs://10.0.0.1/export/crash");
  CHECK(address.kind == TargetKind::kNfs);
  CHECK(address.host == "10.0.0.1");
  CHECK(address.path == "/export/crash");
  CHECK_FALSE(address.nfs_version);
  address = good("nfs://h:2050/e?version=3&mountport=20048&uid=0&gid=65534");
  CHECK(address.port == 2050);
  CHECK(address.path == "/e");
  CHECK(address.nfs_version == 3);
  CHECK(address.mount_port == 20048);
  CHECK(address.uid == 0);
  CHECK(address.gid == 65534);
  CHECK(good("nfs://h/e?port=2049").port == 2049);
}

TEST_CASE("address: one place, written in several ways") {
  using Ways = std::vector<std::string>;
  const std::vector<Ways> places = {
      {"ssh://u@h/d", "ssh://u@H/d", "ssh://u@h:22/d", "ssh://u@h/d/", "ssh://u@h//d",
       "ssh://u@h/./d"},
      {"ssh://v@h/d"},
      {"ssh://u@h:2222/d"},
      {"ssh://u@h/d/e", "ssh://u@h/d//./e/."},
      {"ssh://u@h/D"},
      {"ssh://u@h/d."},
      {"nfs://h/d", "nfs://h/d/", "nfs://h:2049/d", "nfs://H/d", "nfs://h/d?version=4",
       "nfs://h/d?port=2049&uid=1"},
      {"nfs://h:22/d"},
      {"nfs://h/", "nfs://h//."},
      {"nfs://[2001:db8::a]/d", "nfs://[2001:DB8::A]/d"},
      {"raw:/dev/vda1", "raw:/dev//vda1", "raw:/dev/vda1?force=yes"},
      {"raw:PARTUUID=AB-01", "raw:/dev/disk/by-partuuid/ab-01"},
      {"dev:/dev/vda1:/crash", "dev:/dev/vda1:/crash/", "dev:/dev/vda1:/./crash",
       "dev:/dev/vda1://crash", "dev:/dev//vda1:/crash"},
      {"dev:/dev/vda1:/"},
      {"dev:UUID=1:/crash"},
      {"/crash", "file:/crash/", "//crash"},
      {"crash", "./crash", "crash/."},
      {"/a/../crash"},
      {"-"},
      {"./-", "file:-"}};
  Ways firsts;
  for (const Ways& ways : places) {
    for (const std::string& way : ways) {
      CAPTURE(way);
      CHECK_FALSE(is_among(firsts, way));
      CHECK(place_of(good(way)) == place_of(good(ways[0])));
    }
    firsts.push_back(ways[0]);
    CHECK(is_among(firsts, ways.back()));
  }
  CHECK(is_among(Ways{"no:target"}, "no:target"));
  CHECK_FALSE(is_among(Ways{"no:target"}, "no:target/"));
}

TEST_CASE("address: what is wrong is refused, and named") {
  for (const char* target : {"",
                             "file:",
                             "host:/export",
                             "ftp://h/d",
                             "ssh://host/dir",
                             "ssh://@host/dir",
                             "ssh://u:secret@host/dir",
                             "ssh://u@/dir",
                             "ssh://u@host",
                             "ssh://u@host:/d",
                             "ssh://u@host:0/d",
                             "ssh://u@host:65536/d",
                             "ssh://u@host:22x/d",
                             "ssh://u@ho st/d",
                             "ssh://u@-host/d",
                             "ssh://u@[::1/d",
                             "ssh://u@[]/d",
                             "ssh://u@host/a/../b",
                             "ssh://u@host/..",
                             "nfs:/host/dir",
                             "nfs://host",
                             "nfs:///dir",
                             "nfs://h/d?version=5",
                             "nfs://h/d?version",
                             "nfs://h/d?speed=high",
                             "nfs://h/d?uid=-1",
                             "nfs://h/d?uid=4294967295",
                             "nfs://h/d?=",
                             "raw:",
                             "raw:vdb",
                             "raw:PARTUUID=",
                             "raw:PARTUUID=../x",
                             "raw:UUID=5a3b7c21-02",
                             "raw:/dev/../etc",
                             "raw:/dev/vdb?force",
                             "raw:/dev/vdb?quick=yes"}) {
    CAPTURE(std::string(target));
    Result<TargetAddress> address = parse_target_address(target);
    REQUIRE_FALSE(address.ok());
    CHECK(address.error().kind() == ErrorKind::kUsage);
    CHECK(address.error().subject() == target);
    char text[400];
    address.error().format(text, sizeof(text));
    CHECK(std::string(text).find("; ") != std::string::npos);  // with a hint
  }
}
