// The crashed kernel's name: read from its memory where VMCOREINFO says, made up from OSRELEASE
// where that fails.
//
// Thread safety: pure, but for the reader's window.
#pragma once

#include <optional>

#include "capture/kernel/vmcoreinfo.h"
#include "capture/source/vmcore.h"

namespace dw {

// The kernel's struct new_utsname (include/uapi/linux/utsname.h): strings of 65 bytes, terminated.
struct UtsName {
  char sysname[65];
  char nodename[65];
  char release[65];
  char version[65];
  char machine[65];
  char domainname[65];
};

// Physical address of a virtual one, through the program headers alone: the kernel's image and its
// direct map. Enough for what lies in the image.
[[nodiscard]] std::optional<uint64_t> physical_address(const ElfHeaders& headers,
                                                       uint64_t virtual_address);

// SYMBOL(init_uts_ns) + OFFSET(uts_namespace.name). Where that is not to be had: sysname "Linux",
// release from OSRELEASE, the machine of the ELF header, version "unknown", nodename empty.
// (libkdumpfile refuses a header without sysname, release, version or machine.)
[[nodiscard]] UtsName read_utsname(const Vmcore& vmcore, const Vmcoreinfo& info);

// NUMBER(phys_base), or the difference that the kernel image's program header shows, or 0.
[[nodiscard]] uint64_t phys_base(const ElfHeaders& headers, const Vmcoreinfo& info);

}  // namespace dw
