// The build script, run on a small kernel root of its own: modules that hold no code, but say what
// they depend on.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "capture/base/bytes.h"
#include "tests/unit/support/process.h"

using namespace dw;

namespace {

const std::filesystem::path kScript =
    std::filesystem::path(DUMPWRIGHT_TESTS) / "../initrd-hooks/standalone/build-initrd";

// 64 bits, little-endian.
constexpr std::string_view kElfStart(
    "\x7f"
    "ELF\2\1\1",
    7);

std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

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

struct Entry {
  std::string name;
  uint64_t mode;
  uint64_t owner;
  uint64_t time;
  std::string content;
};

uint64_t hex_field(const std::string& archive, size_t at) {
  return std::strtoull(archive.substr(at, 8).c_str(), nullptr, 16);
}

// Reads a "newc" archive up to its trailer.
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

class KernelRoot {
 public:
  KernelRoot() {
    need_tools();
    char path[] = "/tmp/dumpwright-build-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    root = path;
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
  ~KernelRoot() { std::filesystem::remove_all(root); }
  KernelRoot(const KernelRoot&) = delete;
  KernelRoot& operator=(const KernelRoot&) = delete;

  void write(const std::string& name, const std::string& content) const {
    std::filesystem::path path = root + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }

  void add_module(const std::string& name, const std::vector<std::string>& modinfo) const {
    std::string text;
    for (const std::string& line : modinfo) text.append(line).push_back('\0');
    write("lib/modules/1.0/kernel/" + name + ".ko", module_file(text));
  }
  void depmod() const { CHECK(run("PATH=$PATH:/usr/sbin:/sbin depmod -b " + root + " 1.0") == 0); }

  // Both return the exit status; what was printed is in messages().
  int run(const std::string& command) const {
    int status = std::system(("{ " + command + "; } >" + root + "/messages 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int build(const std::string& options) const {
    return run(kScript.string() + " --executable " + root + "/init --kernel-root " + root +
               " --output " + root + "/out --compress none --kernel-version " + options);
  }
  [[nodiscard]] std::string messages() const { return file_text(root + "/messages"); }
  [[nodiscard]] bool said(const char* text) const {
    return messages().find(text) != std::string::npos;
  }

  std::string root;
};

}  // namespace

TEST_CASE("build-initrd: modules in order with softdeps and options, firmware, configuration") {
  KernelRoot kernel;
  REQUIRE(kernel.build("1.0 --modules disk,first --config " + kernel.root + "/dumpwright.conf") ==
          0);
  std::string archive = file_text(kernel.root + "/out");
  auto entries = read_archive(archive);
  const Entry* list = find(entries, "lib/modules/modules.list");
  REQUIRE(list != nullptr);
  CHECK(list->content == "first.ko\nbus.ko\ndisk.ko more depth=8    mode=\"a  b\"\nextra.ko\n");
  const Entry* bus = find(entries, "lib/modules/bus.ko");
  REQUIRE(bus != nullptr);
  CHECK(
      bus->content.starts_with("\x7f"
                               "ELF"));
  const Entry* firmware = find(entries, "lib/firmware/disk.bin");
  REQUIRE(firmware != nullptr);
  CHECK(firmware->content == "update");
  CHECK(kernel.said("warning: firmware gone.bin, which disk.ko may ask for"));
  const Entry* config = find(entries, "etc/dumpwright.conf");
  REQUIRE(config != nullptr);
  CHECK(config->content == "target dev:LABEL=x:/x\n");
  const Entry* init = find(entries, "init");
  REQUIRE(init != nullptr);
  CHECK(init->mode == 0100755);
  const Entry* console = find(entries, "dev/console");
  REQUIRE(console != nullptr);
  CHECK(console->mode == 020600);
  for (const Entry& entry : entries) CHECK((entry.owner == 0 && entry.time == 0));

  // A second run gives the same bytes.
  REQUIRE(kernel.build("1.0 --modules disk,first --config " + kernel.root + "/dumpwright.conf") ==
          0);
  CHECK(file_text(kernel.root + "/out") == archive);
}

TEST_CASE("build-initrd: default modules that the kernel lacks are no error, unless it lacks all") {
  KernelRoot kernel;
  CHECK(kernel.build("1.0") == 1);
  CHECK(kernel.said("kernel 1.0 has none of virtio_pci"));
  kernel.add_module("virtio_blk", {"license=GPL"});
  kernel.depmod();
  CHECK(kernel.build("1.0") == 0);
  const auto entries = read_archive(file_text(kernel.root + "/out"));
  const Entry* list = find(entries, "lib/modules/modules.list");
  REQUIRE(list != nullptr);
  CHECK(list->content == "virtio_blk.ko\n");
}

TEST_CASE("build-initrd: default modules that are all built in are enough") {
  KernelRoot kernel;
  kernel.write("lib/modules/1.0/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  kernel.depmod();
  CHECK(kernel.build("1.0") == 0);
}

TEST_CASE("build-initrd: a failure names its cause and leaves the old output") {
  KernelRoot kernel;
  kernel.write("out", "old");
  CHECK(kernel.build("1.0 --modules disk,nosuch") == 1);
  CHECK(kernel.said("no module 'nosuch'"));
  CHECK(kernel.build("2.0") == 1);
  CHECK(kernel.said("no modules for kernel 2.0"));
  CHECK(kernel.build("1.0 --config /no/such/file") == 1);
  CHECK(kernel.said("cannot read the configuration /no/such/file"));
  CHECK(kernel.build("1.0 --executable /bin/sh") == 1);
  CHECK(kernel.said("is not statically linked"));
  CHECK(kernel.build("1.0 --unknown x") == 2);
  CHECK(kernel.build("1.0 --modules") == 2);
  CHECK(kernel.build("1.0 --compress lz4") == 2);
  std::filesystem::remove(kernel.root + "/lib/modules/1.0/modules.dep.bin");
  CHECK(kernel.build("1.0") == 1);
  CHECK(kernel.said("run: depmod -b"));
  CHECK(file_text(kernel.root + "/out") == "old");
}

TEST_CASE("build-initrd: a configuration with problems is refused, each of them told") {
  KernelRoot kernel;
  kernel.write("out", "old");
  kernel.write("odd.conf", "# kdump.conf\n  target /x # here\n\npath /var/crash");
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/odd.conf") == 1);
  CHECK(kernel.said("odd.conf:4: path: is not a known key"));
  CHECK(kernel.said("/x: cannot be used in the initrd"));
  CHECK(kernel.said("not fit for the initrd"));
  kernel.write("odd.conf", "final_action reboto\n");
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/odd.conf") == 1);
  CHECK(kernel.said("odd.conf:1: "));
  CHECK(file_text(kernel.root + "/out") == "old");
}

TEST_CASE("build-initrd: a target on a server brings its files and the drivers of network cards") {
  KernelRoot kernel;
  for (const char* module : {"virtio_blk", "virtio_net", "nfs"})
    kernel.add_module(module, {"license=GPL"});
  kernel.depmod();
  kernel.write("etc/hosts", "192.0.2.1 server\n");
  REQUIRE(kernel.run("ssh-keygen -q -t ed25519 -N '' -f " + kernel.root + "/id") == 0);
  kernel.write("known", "server ssh-ed25519 AAAA\n");
  const std::string ssh = "target ssh://crash@server/var/crash # over there\n";
  const std::string files =
      "ssh_key " + kernel.root + "/id\n  ssh_known_hosts\t" + kernel.root + "/known # all\n";
  kernel.write("ssh.conf", ssh + files);
  auto build = [&](const std::string& more) {
    return kernel.build("1.0 --config " + kernel.root + "/ssh.conf " + more);
  };
  auto packed = [&](const std::string& name) -> std::string {
    auto entries = read_archive(file_text(kernel.root + "/out"));
    const Entry* entry = find(entries, name);
    if (entry == nullptr) return "missing";
    if (entry->mode != 0100600) return "wrong mode";
    return entry->content;
  };
  INFO(kernel.messages());
  REQUIRE(build("") == 0);
  CHECK(packed(kernel.root.substr(1) + "/id") == file_text(kernel.root + "/id"));
  CHECK(packed(kernel.root.substr(1) + "/known") == "server ssh-ed25519 AAAA\n");
  CHECK(packed("etc/hosts") == "192.0.2.1 server\n");
  CHECK(packed("lib/modules/modules.list") == "virtio_blk.ko\nvirtio_net.ko\n");
  CHECK((std::filesystem::status(kernel.root + "/out").permissions() &
         std::filesystem::perms::others_all) == std::filesystem::perms::none);

  SUBCASE("NFS needs no key, and none is packed") {
    kernel.write("ssh.conf", "target nfs://server/export\n" + files);
    REQUIRE(build("") == 0);
    CHECK(packed(kernel.root.substr(1) + "/id") == "missing");
    CHECK(packed("lib/modules/virtio_net.ko") != "missing");
  }
  SUBCASE("the addresses of names go along, for a crash without a name server") {
    kernel.write("ssh.conf",
                 "target nfs://localhost:2049/export\ntarget nfs://192.0.2.1/export\n"
                 "target nfs://[2001:db8::1]/export\ntarget nfs://no.such.invalid/x\n");
    REQUIRE(build("") == 0);
    std::string known = packed("etc/hosts.known");
    CHECK(known.find("127.0.0.1 localhost\n") != std::string::npos);
    CHECK(known.find("192.0.2.1") == std::string::npos);
    CHECK(kernel.said("no.such.invalid cannot be resolved now"));
  }
  SUBCASE("a local target needs no network, unless the command line's will") {
    kernel.write("ssh.conf", "# target ssh://a@b/c\ntarget dev:LABEL=x:/x\n" + files);
    REQUIRE(build("") == 0);
    CHECK(packed("lib/modules/virtio_net.ko") == "missing");
    CHECK(packed("etc/hosts") == "missing");
    CHECK(packed(kernel.root.substr(1) + "/id") == "missing");
    REQUIRE(build("--network yes") == 0);
    CHECK(packed("lib/modules/virtio_net.ko") != "missing");
    CHECK(build("--network maybe") == 2);
  }
  SUBCASE("what would fail after the crash is refused") {
    kernel.write("old", "");
    kernel.write("out", "old");
    REQUIRE(kernel.run("ssh-keygen -q -t ed25519 -N secret -f " + kernel.root + "/locked") == 0);
    const std::pair<std::string, const char*> wrong[] = {
        {"ssh_key /no/such/key\nssh_known_hosts " + kernel.root + "/known\n",
         "ssh.conf:2: /no/such/key: cannot be used: No such file"},
        {"ssh_key " + kernel.root + "/id\nssh_known_hosts /no/hosts\n",
         "ssh.conf:3: /no/hosts: cannot be used: No such file"},
        {"ssh_key id\nssh_known_hosts " + kernel.root + "/known\n", "absolute path"},
        {"ssh_key " + kernel.root + "/../id\nssh_known_hosts /x\n", "absolute path"},
        {"ssh_key " + kernel.root + "/locked\nssh_known_hosts " + kernel.root + "/known\n",
         "passphrase"},
        {"", "needs a key"}};
    for (const auto& [text, message] : wrong) {
      CAPTURE(text);
      kernel.write("ssh.conf", ssh + text);
      CHECK(build("") == 1);
      CHECK(kernel.said(message));
    }
    CHECK(file_text(kernel.root + "/out") == "old");
  }
}

TEST_CASE("build-initrd: devices and ways that would have to be put together first are refused") {
  KernelRoot kernel;
  kernel.add_module("virtio_blk", {"license=GPL"});
  kernel.depmod();
  auto refused = [&](const std::string& target, const char* says) {
    CAPTURE(target);
    kernel.write("x.conf", "target dev:LABEL=elsewhere:/x\ntarget " + target + "\n");
    int status = kernel.build("1.0 --network no --config " + kernel.root + "/x.conf");
    CHECK(status == (says == nullptr ? 0 : 1));
    if (says != nullptr) CHECK(kernel.said(says));
  };
  for (const char* device : {"dev/dm-0", "dev/dm-1", "dev/md0", "dev/sda1"})
    kernel.write(device, "");
  kernel.write("sys/class/block/dm-0/dm/uuid", "LVM-abc\n");
  kernel.write("sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-abc\n");
  kernel.write("sys/class/block/md0/md/level", "raid1\n");
  kernel.write("sys/class/block/sda1/partition", "1\n");
  REQUIRE(kernel.run("mkdir -p " + kernel.root + "/dev/disk/by-uuid " + kernel.root +
                     "/dev/disk/by-label && ln -s ../../dm-0 " + kernel.root +
                     "/dev/disk/by-uuid/12 && ln -s ../../sda1 " + kernel.root +
                     "/dev/disk/by-label/plain") == 0);
  refused("dev:UUID=12:/crash", "lies on LVM");
  refused("dev:/dev/dm-1:/crash", "lies on an encrypted device");
  refused("raw:/dev/md0?force=yes", "lies on RAID");
  refused("dev:LABEL=plain:/crash", nullptr);
  refused("raw:/dev/sda1", nullptr);

  // A machine that goes to its own address over a bond.
  kernel.write("bin/ip", "#!/bin/sh\necho \"$4 dev bond0 src 127.0.0.1\"\n");
  REQUIRE(kernel.run("chmod +x " + kernel.root + "/bin/ip") == 0);
  kernel.write("sys/class/net/bond0/uevent", "DEVTYPE=bond\nINTERFACE=bond0\n");
  std::string path = ::getenv("PATH");
  REQUIRE(::setenv("PATH", (kernel.root + "/bin:" + path).c_str(), 1) == 0);
  refused("nfs://localhost:2049/export", "leads over bond0, a bond");
  kernel.write("sys/class/net/bond0/uevent", "INTERFACE=bond0\n");
  refused("nfs://localhost:2049/export", nullptr);
  REQUIRE(::setenv("PATH", path.c_str(), 1) == 0);
}

TEST_CASE("build-initrd: an executable that cannot be run cannot check a configuration") {
  KernelRoot kernel;
  kernel.write("init", std::string(kElfStart) + "static");
  CHECK(kernel.build("1.0 --modules first") == 0);
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/dumpwright.conf") == 1);
  CHECK(kernel.said("cannot be run here"));
}
