#include "tests/fault/target_kinds.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "capture/target/file_target.h"
#include "capture/target/memory_target.h"
#include "capture/target/nfs/nfs_server.h"
#include "capture/target/output_file.h"
#include "capture/target/raw/raw_contents.h"
#include "capture/target/raw/raw_store.h"
#include "capture/target/server/server_target.h"
#include "capture/target/ssh/ssh_server.h"
#include "tests/fault/crash_target.h"
#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/nfs_server.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/temp_dir.h"

namespace dw::test {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDumpFolder = "host-1";

Content content_of(const std::string& path) {
  std::string text = read_file(path);
  Bytes bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void empty_folder(const std::string& folder) {
  if (!fs::exists(folder)) return;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename() != "lost+found") fs::remove_all(entry.path());
}

std::map<std::string, Content> files_in(const std::string& folder) {
  std::map<std::string, Content> files;
  if (!fs::exists(folder)) return files;
  for (const std::string& file : tree_of(folder)) files[file] = content_of(folder + "/" + file);
  return files;
}

template <typename T>
std::unique_ptr<Target> owned(Result<T> target) {
  if (!target.ok()) throw std::runtime_error(target.error().what());
  return std::make_unique<T>(std::move(*target));
}

// A FileTarget in a folder of some file system.
class FileKind : public TargetKind {
 public:
  FileKind(const char* name, std::string folder) : name_(name), folder_(std::move(folder)) {}

  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] TargetTraits traits() const override {
    return {.named = true, .reopens = true, .fillable = true};
  }
  void reset() override { empty_folder(folder_); }
  std::unique_ptr<Target> create() override {
    Fd root = std::move(FileTarget::open_root(folder_).value());
    return owned(FileTarget::create(root.get(), kDumpFolder, folder_ + "/" + kDumpFolder));
  }
  Result<std::unique_ptr<Target>> reopen() override {
    DW_ASSIGN(Fd root, FileTarget::open_root(folder_));
    DW_ASSIGN(FileTarget target, FileTarget::reopen(root.get(), kDumpFolder,
                                                    folder_ + "/" + kDumpFolder, kSealedName));
    return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(target)));
  }
  std::map<std::string, Content> files() override { return files_in(dump_folder()); }
  void place(const std::string& name, const std::string& content) override {
    write_file(dump_folder() + "/" + name, content);
  }
  void fill() override { fill_disk(folder_ + "/filler"); }
  void make_room() override { fs::remove(folder_ + "/filler"); }

 private:
  [[nodiscard]] std::string dump_folder() const { return folder_ + "/" + kDumpFolder; }

  const char* name_;
  std::string folder_;
};

class TmpfsKind : public FileKind {
 public:
  TmpfsKind() : TmpfsKind(std::make_unique<TempDir>()) {}

 private:
  explicit TmpfsKind(std::unique_ptr<TempDir> dir)
      : FileKind("tmpfs", dir->path()), dir_(std::move(dir)), disk_(dir_->path(), "size=40m") {}

  std::unique_ptr<TempDir> dir_;
  SmallDisk disk_;
};

class LoopKind : public FileKind {
 public:
  LoopKind(const char* type, unsigned size_mib)
      : LoopKind(type, std::make_unique<LoopDisk>(type, size_mib)) {}

 private:
  LoopKind(const char* type, std::unique_ptr<LoopDisk> disk)
      : FileKind(type, disk->path()), disk_(std::move(disk)) {}

  std::unique_ptr<LoopDisk> disk_;
};

// A ServerTarget, on a connection of its own each time.
class ServerKind : public TargetKind {
 public:
  ServerKind(const char* name, std::string folder) : name_(name), folder_(std::move(folder)) {}

  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] TargetTraits traits() const override { return {.named = true, .reopens = true}; }
  void reset() override {
    server_.reset();
    empty_folder(folder_);
  }
  std::unique_ptr<Target> create() override {
    server_ = connect();
    return std::move(ServerTarget::create(*server_, kDumpFolder, kSealedName).value());
  }
  Result<std::unique_ptr<Target>> reopen() override {
    server_ = connect();
    DW_ASSIGN(std::unique_ptr<ServerTarget> target,
              ServerTarget::reopen(*server_, kDumpFolder, kSealedName));
    return std::unique_ptr<Target>(std::move(target));
  }
  std::map<std::string, Content> files() override { return files_in(dump_folder()); }
  void place(const std::string& name, const std::string& content) override {
    write_file(dump_folder() + "/" + name, content);
  }

 protected:
  // `server`: what became of trying.
  static std::unique_ptr<FileServer> connected(Result<std::unique_ptr<FileServer>> server) {
    if (!server.ok()) throw std::runtime_error(server.error().what());
    return std::move(*server);
  }

 private:
  virtual std::unique_ptr<FileServer> connect() = 0;
  [[nodiscard]] std::string dump_folder() const { return folder_ + "/" + kDumpFolder; }

  const char* name_;
  std::string folder_;
  std::unique_ptr<FileServer> server_;
};

// On a server that does all that it may.
class DirectoryServerKind : public ServerKind {
 public:
  DirectoryServerKind() : DirectoryServerKind(std::make_unique<TempDir>()) {}

  void reset() override {
    if (last_ != nullptr && last_->misuses() > 0)
      throw std::logic_error("the server was used wrongly");
    last_ = nullptr;
    ServerKind::reset();
  }

 private:
  explicit DirectoryServerKind(std::unique_ptr<TempDir> dir)
      : ServerKind("server", dir->path()), dir_(std::move(dir)), disk_(dir_->path()) {}

  std::unique_ptr<FileServer> connect() override {
    auto server = std::make_unique<DirectoryServer>(disk_, ServerFaults{.seed = ++connections_});
    last_ = server.get();
    return server;
  }

  std::unique_ptr<TempDir> dir_;
  ServerDisk disk_;
  DirectoryServer* last_ = nullptr;
  uint64_t connections_ = 0;
};

class SshKind : public ServerKind {
 public:
  SshKind() : SshKind(std::make_unique<TestSshd>()) {}

 private:
  explicit SshKind(std::unique_ptr<TestSshd> sshd)
      : ServerKind("ssh", sshd->data() + "/dumps"), sshd_(std::move(sshd)) {}

  std::unique_ptr<FileServer> connect() override {
    SshAddress address{.host = "127.0.0.1",
                       .port = sshd_->port(),
                       .user = "root",
                       .directory = sshd_->data() + "/dumps"};
    SshOptions options{.key_file = sshd_->key(), .known_hosts_file = sshd_->known_hosts()};
    return connected(SshServer::open(address, options, {}));
  }

  std::unique_ptr<TestSshd> sshd_;
};

class NfsKind : public ServerKind {
 public:
  NfsKind(const char* name, int version) : NfsKind(name, version, std::make_unique<TestNfs>()) {}

 private:
  NfsKind(const char* name, int version, std::unique_ptr<TestNfs> nfs)
      : ServerKind(name, nfs->data()), nfs_(std::move(nfs)), version_(version) {}

  std::unique_ptr<FileServer> connect() override {
    NfsAddress address;
    address.host = "127.0.0.1";
    address.directory = "/export";
    address.version = version_;
    address.port = nfs_->port();
    address.mount_port = nfs_->mount_port();
    return connected(NfsServer::open(address, {}));
  }

  std::unique_ptr<TestNfs> nfs_;
  int version_;
};

// A partition full of what nobody may ever see.
class RawKind : public TargetKind {
 public:
  RawKind(const char* name, std::string device, uint64_t bytes)
      : name_(name), device_(std::move(device)), old_(bytes, '\xA5') {}

  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] TargetTraits traits() const override { return {.reopens = true}; }
  void reset() override {
    store_.reset();
    write_over(device_, old_);
  }
  std::unique_ptr<Target> create() override {
    open();
    return std::move(store_->create(kDumpFolder, kSealedName).value());
  }
  Result<std::unique_ptr<Target>> reopen() override {
    open();
    return store_->reopen(kDumpFolder, kSealedName);
  }
  std::map<std::string, Content> files() override {
    std::map<std::string, Content> files;
    Result<RawContents> there = RawContents::open(device_);
    if (!there.ok()) return files;
    for (const std::string& file : {there->dump_name(), std::string(kSumsName)}) {
      Result<ReadableFile> part = there->open_file(file);
      if (!part.ok()) continue;
      Content& content = files[file];
      content.resize(file_size(part->get()).value());
      if (!read_exact_at(part->get(), content, 0).ok()) throw std::runtime_error("cannot read");
    }
    return files;
  }

 private:
  void open() {
    store_.reset();
    store_ = std::move(RawStore::open(device_, {.force = true, .overwrite = true}).value());
  }
  static void write_over(const std::string& path, const std::string& content) {
    Result<Fd> fd = open_file(path.c_str(), O_WRONLY);
    if (!fd.ok() || !write_all_at(fd->get(), std::as_bytes(std::span(content)), 0).ok())
      throw std::runtime_error("cannot write to " + path);
  }

  const char* name_;
  std::string device_;
  std::string old_;
  std::unique_ptr<RawStore> store_;
};

constexpr unsigned kRawKib = 12 << 10;

class RawDeviceKind : public RawKind {
 public:
  RawDeviceKind() : RawDeviceKind(std::make_unique<LoopDevice>(kRawKib)) {}

 private:
  explicit RawDeviceKind(std::unique_ptr<LoopDevice> device)
      : RawKind("partition", device->path(), device->bytes()), device_(std::move(device)) {}

  std::unique_ptr<LoopDevice> device_;
};

// Without O_DIRECT, where that needs a disk.
class RawFileKind : public RawKind {
 public:
  RawFileKind() : RawFileKind(std::make_unique<TempDir>()) {}

 private:
  explicit RawFileKind(std::unique_ptr<TempDir> dir)
      : RawKind("file as a partition", *dir / "disk/image", uint64_t{kRawKib} << 10),
        dir_(std::move(dir)) {}

  struct Disk {
    explicit Disk(const std::string& folder) {
      fs::create_directory(folder);
      disk.emplace(folder, "size=40m");
      write_file(folder + "/image", "");
    }
    std::optional<SmallDisk> disk;
  };

  std::unique_ptr<TempDir> dir_;
  Disk disk_{*dir_ / "disk"};
};

class OutputKind : public TargetKind {
 public:
  [[nodiscard]] const char* name() const override { return "output file"; }
  void reset() override { empty_folder(dir_.path()); }
  std::unique_ptr<Target> create() override {
    return owned(OutputFile::create(dir_ / "out", true));
  }

 private:
  TempDir dir_;
};

class MemoryKind : public TargetKind {
 public:
  [[nodiscard]] const char* name() const override { return "memory"; }
  void reset() override {}
  std::unique_ptr<Target> create() override { return std::make_unique<MemoryTarget>(); }
};

// Leaves behind what a power cut would have left at the moment when the object goes away.
class CrashKind : public TargetKind {
 public:
  [[nodiscard]] const char* name() const override { return "crash target"; }
  [[nodiscard]] TargetTraits traits() const override { return {.reopens = true}; }
  void reset() override { left_.clear(); }
  std::unique_ptr<Target> create() override { return std::make_unique<Leaving>(*this); }
  Result<std::unique_ptr<Target>> reopen() override {
    if (!left_.contains(kIncompleteName)) return Error::from_errno("cannot open", ENOENT);
    auto left = std::exchange(left_, {});
    return std::unique_ptr<Target>(
        std::make_unique<Leaving>(*this, left[kIncompleteName], left[kSumsName]));
  }
  std::map<std::string, Content> files() override { return left_; }

 private:
  class Leaving : public CrashTarget {
   public:
    explicit Leaving(CrashKind& kind) : kind_(&kind) {}
    Leaving(CrashKind& kind, Content content, Content sums)
        : CrashTarget(std::move(content), std::move(sums)), kind_(&kind) {}
    ~Leaving() override {
      if (state() == State::kStaged) return;
      kind_->left_[state() == State::kSealed ? kSealedName : kIncompleteName] = partly_durable(7);
      kind_->left_[kSumsName] = partly_durable_sums(7);
    }

   private:
    CrashKind* kind_;
  };

  std::map<std::string, Content> left_;
};

}  // namespace

Result<std::unique_ptr<Target>> TargetKind::reopen() {
  return Error(ErrorKind::kUnsupported, "cannot be opened again");
}

void TargetKind::place(const std::string&, const std::string&) {
  throw std::logic_error("no files to place");
}

std::vector<std::unique_ptr<TargetKind>> make_target_kinds() {
  std::vector<std::unique_ptr<TargetKind>> kinds;
  kinds.push_back(std::make_unique<TmpfsKind>());  // without O_DIRECT
  kinds.push_back(std::make_unique<LoopKind>("ext4", 40));
  kinds.push_back(std::make_unique<LoopKind>("ext2", 40));  // cannot reserve space
  kinds.push_back(std::make_unique<LoopKind>("xfs", 300));
  kinds.push_back(std::make_unique<DirectoryServerKind>());
  kinds.push_back(std::make_unique<SshKind>());
  kinds.push_back(std::make_unique<NfsKind>("nfs3", 3));
  kinds.push_back(std::make_unique<NfsKind>("nfs4", 4));
  kinds.push_back(std::make_unique<RawDeviceKind>());
  kinds.push_back(std::make_unique<RawFileKind>());
  kinds.push_back(std::make_unique<OutputKind>());
  kinds.push_back(std::make_unique<MemoryKind>());
  kinds.push_back(std::make_unique<CrashKind>());
  return kinds;
}

}  // namespace dw::test
