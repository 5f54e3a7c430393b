#include "capture/kernel/utsname.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

UtsName name_of(const VmcoreBuilder& builder, const std::string& info) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  return read_utsname(vmcore, Vmcoreinfo(info));
}

void check_fallback(const UtsName& name, std::string_view release) {
  CHECK(std::string_view(name.sysname) == "Linux");
  CHECK(std::string_view(name.nodename).empty());
  CHECK(std::string_view(name.release) == release);
  CHECK(std::string_view(name.version) == "unknown");
  CHECK(std::string_view(name.machine) == "x86_64");
}

}  // namespace

TEST_CASE("utsname: is read from memory") {
  UtsName name = name_of(small_crash("db-7"), vmcoreinfo_text());
  CHECK(std::string_view(name.nodename) == "db-7");
  CHECK(std::string_view(name.version) == "#1 SMP a test");
  CHECK(std::string_view(name.domainname) == "(none)");
}

TEST_CASE("utsname: without the symbol or the offset it is made up from OSRELEASE") {
  check_fallback(name_of(small_crash(), "OSRELEASE=5.10.1\n"), "5.10.1");
  check_fallback(name_of(small_crash(), "OSRELEASE=5.10.1\nSYMBOL(init_uts_ns)=ffffffff81000000\n"),
                 "5.10.1");
  check_fallback(name_of(small_crash(), ""), "unknown");
}

TEST_CASE("utsname: kernels that do not tell the offset have the name behind a kref") {
  // kUtsOffset is 0x40, so the namespace begins four bytes before.
  UtsName name = name_of(small_crash("old-1"), "SYMBOL(init_uts_ns)=ffffffff8100003c\n");
  CHECK(std::string_view(name.nodename) == "old-1");
}

TEST_CASE("utsname: a symbol that points nowhere, or wraps, is not followed") {
  for (const char* symbol : {"0", "ffffffff90000000", "ffffffffffffffff", "ffff888000000000"}) {
    std::string info = std::string("OSRELEASE=6.1.0\nSYMBOL(init_uts_ns)=") + symbol +
                       "\nOFFSET(uts_namespace.name)=64\n";
    check_fallback(name_of(small_crash(), info), "6.1.0");
  }
}

TEST_CASE("utsname: memory that is no utsname is not believed") {
  VmcoreBuilder garbage = small_crash();
  garbage.fill(kImagePhysical, 4096, 'x');  // no string ends
  check_fallback(name_of(garbage, vmcoreinfo_text()), "6.1.0-test");
  VmcoreBuilder other = small_crash();
  other.write(kImagePhysical + kUtsOffset, "Plan9");
  check_fallback(name_of(other, vmcoreinfo_text()), "6.1.0-test");
  VmcoreBuilder zeros = small_crash();
  zeros.fill(kImagePhysical, 4096, 0);
  check_fallback(name_of(zeros, vmcoreinfo_text()), "6.1.0-test");
}

TEST_CASE("utsname: an OSRELEASE that is too long is cut and ended") {
  UtsName name = name_of(small_crash(), "OSRELEASE=" + std::string(200, 'r') + "\n");
  CHECK(std::string_view(name.release) == std::string(64, 'r'));
}

TEST_CASE("phys_base: from VMCOREINFO, or from the image's program header") {
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  uint64_t shown = uint64_t{0} - 0xf00000;
  CHECK(phys_base(vmcore.headers(), Vmcoreinfo(vmcoreinfo_text())) == shown);
  CHECK(phys_base(vmcore.headers(), Vmcoreinfo()) == shown);
  CHECK(phys_base(vmcore.headers(), Vmcoreinfo("NUMBER(phys_base)=4096\n")) == 4096);
  CHECK(phys_base(ElfHeaders{}, Vmcoreinfo()) == 0);
}

TEST_CASE("physical_address: through image and direct map, not beyond them") {
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  const ElfHeaders& headers = vmcore.headers();
  CHECK(physical_address(headers, kKernelMap + 0x1000000) == kImagePhysical);
  CHECK(physical_address(headers, kKernelMap + 0x101ffff) == kImagePhysical + 0x1ffff);
  CHECK_FALSE(physical_address(headers, kKernelMap + 0x1020000).has_value());
  CHECK(physical_address(headers, golden::kDirectMap + 0x1000) == 0x1000);
  CHECK_FALSE(physical_address(headers, 0).has_value());
}
