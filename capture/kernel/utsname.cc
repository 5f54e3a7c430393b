#include "capture/kernel/utsname.h"

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

namespace {

// arch/x86/include/asm/page_64_types.h: __START_KERNEL_map.
constexpr uint64_t kX86KernelMap = 0xffffffff80000000;

bool is_terminated(const char (&text)[65]) {
  return std::memchr(text, '\0', sizeof(text)) != nullptr;
}

bool is_plausible(const UtsName& name) {
  for (const auto* text : {&name.sysname, &name.nodename, &name.release, &name.version,
                           &name.machine, &name.domainname})
    if (!is_terminated(*text)) return false;
  return std::string_view(name.sysname) == "Linux" && name.release[0] != '\0' &&
         name.version[0] != '\0' && name.machine[0] != '\0';
}

void set(char (&field)[65], std::string_view text) {
  text = text.substr(0, sizeof(field) - 1);
  std::memcpy(field, text.data(), text.size());
}

UtsName utsname_from_vmcoreinfo(const Vmcore& vmcore, const Vmcoreinfo& info) {
  UtsName name{};
  set(name.sysname, "Linux");
  set(name.release, info.os_release().value_or("unknown"));
  set(name.version, "unknown");
  set(name.machine, vmcore.headers().machine == Machine::kAarch64 ? "aarch64" : "x86_64");
  return name;
}

}  // namespace

std::optional<uint64_t> physical_address(const ElfHeaders& headers, uint64_t virtual_address) {
  for (const Segment& segment : headers.segments) {
    bool inside = virtual_address >= segment.virtual_address &&
                  virtual_address - segment.virtual_address < segment.memory_size;
    if (inside && segment.virtual_address != 0)
      return segment.physical_address + (virtual_address - segment.virtual_address);
  }
  return std::nullopt;
}

namespace {

// The name at init_uts_ns + offset, if there is one.
std::optional<UtsName> utsname_at(const Vmcore& vmcore, uint64_t symbol, uint64_t offset) {
  std::optional<uint64_t> virtual_address = checked_add(symbol, offset);
  if (!virtual_address) return std::nullopt;
  std::optional<uint64_t> address = physical_address(vmcore.headers(), *virtual_address);
  UtsName name{};
  VmcoreReader reader(vmcore);
  bool read = address && reader.read(*address, std::as_writable_bytes(std::span(&name, 1))).ok();
  return read && is_plausible(name) ? std::optional(name) : std::nullopt;
}

}  // namespace

UtsName read_utsname(const Vmcore& vmcore, const Vmcoreinfo& info) {
  std::optional<uint64_t> symbol = info.symbol("init_uts_ns");
  if (!symbol) return utsname_from_vmcoreinfo(vmcore, info);
  std::optional<uint64_t> told = info.offset("uts_namespace.name");
  // Kernels before 5.11 do not tell (kernel commit ca4a9241cc5e); there a struct kref of four bytes
  // stands before the name.
  constexpr uint64_t kAfterKref = 4;
  std::optional<UtsName> name = utsname_at(vmcore, *symbol, told.value_or(kAfterKref));
  return name ? *name : utsname_from_vmcoreinfo(vmcore, info);
}

uint64_t phys_base(const ElfHeaders& headers, const Vmcoreinfo& info) {
  if (std::optional<int64_t> number = info.number("phys_base"))
    return static_cast<uint64_t>(*number);
  for (const Segment& segment : headers.segments)
    if (headers.machine == Machine::kX86_64 && segment.virtual_address >= kX86KernelMap)
      return segment.physical_address - (segment.virtual_address - kX86KernelMap);
  return 0;
}

}  // namespace dw
