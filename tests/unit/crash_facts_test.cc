#include "capture/cli/crash_facts.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

std::string name_for(std::string_view nodename, int64_t seconds = 1700000000) {
  CrashFacts facts;
  nodename.copy(facts.utsname.nodename, sizeof(facts.utsname.nodename) - 1);
  facts.crash_seconds = seconds;
  return dump_name(facts);
}

std::string host_for(std::string_view nodename) {
  std::string name = name_for(nodename);
  return name.substr(0, name.rfind('-'));
}

std::string name_of_vmcore(const VmcoreBuilder& builder) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  return dump_name(read_crash_facts(vmcore));
}

}  // namespace

TEST_CASE("crash_facts: host and time make the name") {
  CHECK(name_of_vmcore(small_crash("web-1")) == "web-1-20231114T221320Z");
  CHECK(iso_time(1700000000) == "2023-11-14T22:13:20Z");
}

TEST_CASE("crash_facts: odd characters of a host are replaced") {
  CHECK(host_for("db.example-7") == "db.example-7");
  CHECK(host_for("a b/c\\d\ne") == "a-b-c-d-e");
  CHECK(host_for("caf\xc3\xa9s") == "caf--s");
}

TEST_CASE("crash_facts: a name begins and ends with a letter or a digit") {
  CHECK(host_for("../../etc") == "etc");
  CHECK(host_for("-rf") == "rf");
  CHECK(host_for(".hidden.") == "hidden");
}

TEST_CASE("crash_facts: a host of which nothing is left is unknown") {
  for (const char* nodename : {"", "...", "-", "..", "___", "/", "\xff\xff"})
    CHECK(host_for(nodename) == "unknown");
}

TEST_CASE("crash_facts: a host as long as it can be") {
  CHECK(host_for(std::string(64, 'h')) == std::string(64, 'h'));
}

TEST_CASE("crash_facts: a name is one component of a path") {
  for (int c = 1; c < 256; ++c)
    CHECK(host_for(std::string("x") + static_cast<char>(c)).find('/') == std::string::npos);
}

TEST_CASE("crash_facts: impossible times count as the epoch") {
  CHECK(name_for("h", 0) == "h-19700101T000000Z");
  CHECK(name_for("h", -1) == "h-19700101T000000Z");
  CHECK(name_for("h", 253402300799) == "h-99991231T235959Z");
  CHECK(name_for("h", 253402300800) == "h-19700101T000000Z");
  CHECK(name_for("h", INT64_MAX) == "h-19700101T000000Z");
}

TEST_CASE("crash_facts: CRASHTIME that is absent or makes no sense") {
  for (const char* time : {"", "0", "-5", "soon", "18446744073709551615", "99999999999999999999"})
    CHECK(name_of_vmcore(small_crash("h", time)) == "h-19700101T000000Z");
}

TEST_CASE("crash_facts: without notes") {
  VmcoreBuilder builder;
  builder.add_ram(0x1000, 0x1000);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CrashFacts facts = read_crash_facts(vmcore);
  CHECK(facts.vmcoreinfo.empty());
  CHECK(facts.notes.cpu_count == 0);
  CHECK(dump_name(facts) == "unknown-19700101T000000Z");
}
