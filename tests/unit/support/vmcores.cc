#include "tests/unit/support/vmcores.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "capture/source/vmcore.h"

namespace dw::test {

namespace {

std::string repeated(std::string_view text, size_t size) {
  std::string result;
  while (result.size() < size) result += text;
  result.resize(size);
  return result;
}

}  // namespace

void store_utsname(VmcoreBuilder& builder, uint64_t address, std::string_view nodename) {
  UtsName name{};
  std::strcpy(name.sysname, "Linux");
  nodename.copy(name.nodename, sizeof(name.nodename) - 1);
  std::strcpy(name.release, "6.1.0-test");
  std::strcpy(name.version, "#1 SMP a test");
  std::strcpy(name.machine, "x86_64");
  std::strcpy(name.domainname, "(none)");
  builder.store(address, name);
}

std::string vmcoreinfo_text(std::string_view crash_time) {
  std::string text =
      "OSRELEASE=6.1.0-test\nBUILD-ID=0123456789abcdef\nPAGESIZE=4096\n"
      "SYMBOL(init_uts_ns)=ffffffff81000000\nOFFSET(uts_namespace.name)=64\n"
      "NUMBER(phys_base)=-15728640\n";
  if (!crash_time.empty()) text += "CRASHTIME=" + std::string(crash_time) + "\n";
  return text;
}

VmcoreBuilder small_crash(std::string_view nodename, std::string_view crash_time) {
  VmcoreBuilder builder;
  builder.add_cpus(2).add_vmcoreinfo(vmcoreinfo_text(crash_time));
  // The kernel image, once more under its virtual address.
  builder.add_segment({.physical_address = kImagePhysical,
                       .memory_size = 0x20000,
                       .virtual_address = kKernelMap + 0x1000000,
                       .file_size = 0x20000});
  builder.add_ram(0x1000, 0x9ec00 - 0x1000);  // ends inside a page, as below 640 KiB
  builder.add_ram(kImagePhysical, 0x40000);
  store_utsname(builder, kImagePhysical + kUtsOffset, nodename);
  builder.write(0x2000, repeated("a line of text in low memory\n", 3 * kPageBytes));
  builder.fill_random(0x10000, 4 * kPageBytes, 7);
  builder.fill(0x9e000, 0xc00, 0x5a);
  builder.write(0x128000, repeated("kernel text, more or less. ", 5 * kPageBytes));
  return builder;
}

VmcoreBuilder large_crash(uint64_t mib) {
  VmcoreBuilder builder = small_crash();
  builder.add_ram(0x1000000, mib << 20);
  builder.fill_random(0x1000000, mib << 20, 11);
  return builder;
}

Fd memory_file(Bytes content) {
  Fd fd(::memfd_create("content", MFD_CLOEXEC));
  if (!fd.valid() || !write_all_at(fd.get(), content, 0).ok())
    throw std::runtime_error("memfd_create");
  return fd;
}

std::vector<KnownPage> known_pages(const VmcoreBuilder& builder) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  std::vector<KnownPage> pages;
  for (const PfnRange& range : vmcore.memory().pfn_ranges()) {
    for (uint64_t pfn = range.begin; pfn < range.end; ++pfn) {
      pages.push_back({.pfn = pfn, .content = std::vector<std::byte>(kPageBytes)});
      builder.read(pfn * kPageBytes, pages.back().content);
    }
  }
  return pages;
}

Comparison compare(const std::vector<KnownPage>& pages, KdumpReader& dump) {
  Comparison result;
  std::vector<std::byte> page(kPageBytes);
  for (const KnownPage& known : pages) {
    auto fate = dump.read_page(known.pfn, page);
    if (!fate.ok()) {
      ++result.refused;
    } else if (*fate == KdumpReader::PageFate::kExcluded) {
      ++result.excluded;
    } else if (*fate == KdumpReader::PageFate::kMissing) {
      ++result.missing;
    } else {
      ++(known.content == page ? result.right : result.wrong);
    }
  }
  return result;
}

}  // namespace dw::test
