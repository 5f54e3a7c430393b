#include "tests/unit/support/kernel_root.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "capture/base/bytes.h"
#include "tests/unit/support/process.h"

namespace dw::test {

namespace {

void append(std::string& to, const void* from, size_t size) {
  to.append(static_cast<const char*>(from), size);
}

// A section header of a 64-bit ELF file.
struct Section {
  uint32_t name = 0, type = 0;
  uint64_t flags = 0, address = 0, offset = 0, size = 0;
  uint32_t link = 0, info = 0;
  uint64_t alignment = 1, entry_size = 0;
};

// A relocatable ELF file with nothing but a .modinfo section.
std::string module_file(const std::string& modinfo) {
  const std::string names("\0.modinfo\0.shstrtab\0", 20);
  std::string header(64, '\0');
  MutableBytes bytes = std::as_writable_bytes(std::span(header));
  std::memcpy(header.data(), kElfStart.data(), kElfStart.size());
  store<uint16_t>(bytes, 16, 1);   // ET_REL
  store<uint16_t>(bytes, 18, 62);  // EM_X86_64
  store<uint32_t>(bytes, 20, 1);
  store<uint64_t>(bytes, 40, 64 + modinfo.size() + names.size());
  store<uint16_t>(bytes, 52, 64);
  store<uint16_t>(bytes, 58, sizeof(Section));
  store<uint16_t>(bytes, 60, 3);
  store<uint16_t>(bytes, 62, 2);
  const Section sections[] = {
      {},
      {.name = 1, .type = 1, .offset = 64, .size = modinfo.size()},
      {.name = 10, .type = 3, .offset = 64 + modinfo.size(), .size = names.size()}};
  std::string file = header + modinfo + names;
  append(file, sections, sizeof(sections));
  return file;
}

uint64_t hex_field(const std::string& archive, size_t at) {
  return std::strtoull(archive.substr(at, 8).c_str(), nullptr, 16);
}

void need_tools() {
  constexpr const char* kTools[][2] = {{"modprobe", "kmod"},
                                       {"depmod", "kmod"},
                                       {"modinfo", "kmod"},
                                       {"xz", "xz-utils"},
                                       {"ssh-keygen", "openssh-client"}};
  for (const auto& [tool, package] : kTools) {
    std::string search = std::string("PATH=$PATH:/usr/sbin:/sbin; command -v ") + tool;
    int status = std::system((search + " >/dev/null").c_str());
    std::string missing = std::string(tool) + " is missing; install the package " + package;
    REQUIRE_MESSAGE(status == 0, missing);
  }
}

// A statically linked program that runs the executable under test, which need not be static: 64-bit
// ELF header, one program header, execve(path, argv, envp), exit(127).
std::string static_program() {
  constexpr std::string_view kCode(
      "\x48\x8d\x74\x24\x08"           // lea rsi, [rsp+8]
      "\x48\x8b\x04\x24"               // mov rax, [rsp]
      "\x48\x8d\x54\xc6\x08"           // lea rdx, [rsi+rax*8+8]
      "\x48\x8d\x3d\x13\x00\x00\x00"   // lea rdi, [rip+19]: behind the code
      "\xb8\x3b\x00\x00\x00\x0f\x05"   // mov eax, 59; syscall
      "\xbf\x7f\x00\x00\x00"           // mov edi, 127
      "\xb8\x3c\x00\x00\x00\x0f\x05",  // mov eax, 60; syscall
      40);
  constexpr uint64_t kAddress = 0x400000;
  std::string file(120, '\0');
  MutableBytes bytes = std::as_writable_bytes(std::span(file));
  std::memcpy(file.data(), kElfStart.data(), kElfStart.size());
  store<uint16_t>(bytes, 16, 2);   // ET_EXEC
  store<uint16_t>(bytes, 18, 62);  // EM_X86_64
  store<uint32_t>(bytes, 20, 1);
  store<uint64_t>(bytes, 24, kAddress + 120);
  store<uint64_t>(bytes, 32, 64);
  store<uint16_t>(bytes, 52, 64);
  store<uint16_t>(bytes, 54, 56);
  store<uint16_t>(bytes, 56, 1);
  std::string program = test::dumpwright_arguments({})[0];
  uint64_t size = file.size() + kCode.size() + program.size() + 1;
  store<uint32_t>(bytes, 64, 1);  // PT_LOAD
  store<uint32_t>(bytes, 68, 5);  // readable, executable
  store<uint64_t>(bytes, 80, kAddress);
  store<uint64_t>(bytes, 96, size);
  store<uint64_t>(bytes, 104, size);
  store<uint64_t>(bytes, 112, 4096);
  return file.append(kCode).append(program).append(1, '\0');
}

}  // namespace

std::vector<Entry> read_archive(const std::string& archive) {
  std::vector<Entry> entries;
  for (size_t at = 0; at + 110 <= archive.size();) {
    if (archive.compare(at, 6, "070701") != 0) break;
    uint64_t size = hex_field(archive, at + 54);
    uint64_t name_size = hex_field(archive, at + 94);
    size_t content = (at + 110 + name_size + 3) / 4 * 4;
    Entry entry{archive.substr(at + 110, name_size - 1), hex_field(archive, at + 14),
                hex_field(archive, at + 22), hex_field(archive, at + 46),
                archive.substr(content, size)};
    if (entry.name == "TRAILER!!!") return entries;
    entries.push_back(std::move(entry));
    at = (content + size + 3) / 4 * 4;
  }
  FAIL_CHECK("the archive has no trailer");
  return entries;
}

const Entry* find(const std::vector<Entry>& entries, const std::string& name) {
  for (const Entry& entry : entries)
    if (entry.name == name) return &entry;
  return nullptr;
}

KernelRoot::KernelRoot() {
  need_tools();
  write("init", static_program());
  std::filesystem::permissions(root + "/init", std::filesystem::perms::owner_all);
  write("dumpwright.conf", "target dev:LABEL=x:/x\n");
  write("etc/modprobe.d/options.conf",
        "install disk /bin/false\noptions disk depth=8 \\\n  mode=\"a  b\"\n");
  write("usr/lib/modprobe.d/options.conf", "options disk never=1\n");
  write("usr/lib/modprobe.d/more.conf", "options disk more\noptions other x=1\n");
  write("lib/firmware/disk.bin", "plain");
  write("lib/firmware/updates/disk.bin", "update");
  add_module("disk", {"softdep=pre: bus post: extra", "firmware=disk.bin", "firmware=gone.bin"});
  add_module("bus", {"softdep=pre: first"});
  add_module("first", {"license=GPL"});
  add_module("extra", {"license=GPL"});
  CHECK(run("xz --check=crc32 " + root + "/lib/modules/1.0/kernel/bus.ko") == 0);
  depmod();
}

void KernelRoot::write(const std::string& name, const std::string& content) const {
  std::filesystem::path path = root + "/" + name;
  std::filesystem::create_directories(path.parent_path());
  write_file(path, content);
}

void KernelRoot::link(const std::string& name, const std::string& to) const {
  std::filesystem::path path = root + "/" + name;
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::path target = root + "/" + to;
  std::filesystem::create_directories(target.parent_path());
  std::filesystem::create_symlink(target.lexically_relative(path.parent_path()), path);
}

void KernelRoot::add_program(const std::string& name, const std::string& script) const {
  write("bin/" + name, "#!/bin/sh\n" + script);
  std::filesystem::permissions(root + "/bin/" + name, std::filesystem::perms::owner_all);
}

void KernelRoot::add_module(const std::string& name,
                            const std::vector<std::string>& modinfo) const {
  std::string text;
  for (const std::string& line : modinfo) text.append(line).push_back('\0');
  write("lib/modules/1.0/kernel/" + name + ".ko", module_file(text));
}

void KernelRoot::depmod() const {
  CHECK(run("PATH=$PATH:/usr/sbin:/sbin depmod -b " + root + " 1.0") == 0);
}

int KernelRoot::run(const std::string& command) const {
  std::string whole =
      "{ PATH=" + root + "/bin:$PATH; " + command + "; } >" + root + "/messages 2>&1";
  int status = std::system(whole.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int KernelRoot::build(const std::string& options) const {
  return run(DUMPWRIGHT_TESTS "/../initrd-hooks/standalone/build-initrd --executable " + root +
             "/init --kernel-root " + root + " --output " + root +
             "/out --compress none --kernel-version " + options);
}

std::string KernelRoot::packed(const std::string& name) const {
  auto entries = read_archive(read_file(root + "/out"));
  const Entry* entry = find(entries, name);
  if (entry == nullptr) return "missing";
  if (entry->mode != 0100600) return "wrong mode";
  return entry->content;
}

bool KernelRoot::said(const char* text) const { return messages().find(text) != std::string::npos; }

}  // namespace dw::test
