#include "capture/target/nfs/nfs_server.h"

#include <errno.h>

#include <algorithm>

#include "capture/target/nfs/nfs3.h"
#include "capture/target/nfs/nfs4.h"
#include "capture/target/nfs/nfs_file.h"

namespace dw {

namespace {

constexpr uint16_t kNfsPort = 2049;

std::string display_of(const NfsAddress& address) {
  bool is_ipv6 = address.host.find(':') != std::string::npos;
  std::string display = "nfs://" + (is_ipv6 ? "[" + address.host + "]" : address.host);
  if (address.port) display += ":" + std::to_string(*address.port);
  return display + address.directory;
}

RpcPeer peer_of(const NfsAddress& address, const std::string& display) {
  return {address.host, address.port.value_or(kNfsPort), address.uid, address.gid, display};
}

// The next name of `path` from `at` on; empty at its end.
std::string next_name(const std::string& path, size_t& at) {
  at = std::min(path.find_first_not_of('/', at), path.size());
  size_t end = std::min(path.find('/', at), path.size());
  std::string name = path.substr(at, end - at);
  at = end;
  return name;
}

std::vector<std::string> names_of(const std::string& path) {
  std::vector<std::string> names;
  size_t at = 0;
  for (std::string name = next_name(path, at); !name.empty(); name = next_name(path, at))
    names.push_back(std::move(name));
  return names;
}

std::string parent_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

bool same(const NfsHandle& a, const NfsHandle& b) {
  return a.size == b.size && std::equal(a.bytes.begin(), a.bytes.begin() + a.size, b.bytes.begin());
}

// What NFSv4 shows above its exports is read-only.
Error not_made(const Error& error) {
  if (is_lost(error)) return error;
  Error told =
      Error::from_errno("there is no such directory, and it cannot be made", error.errno_value());
  return told.hint("compare it with what the server exports");
}

// Where another version of the protocol may do better.
bool another_version_may_help(const Error& error) {
  return error.kind() == ErrorKind::kUnsupported || error.errno_value() == ENOENT ||
         error.errno_value() == EACCES || error.errno_value() == EPERM ||
         error.errno_value() == EROFS;
}

}  // namespace

NfsServer::NfsServer(const NfsAddress& address) : display_(display_of(address)) {}

Result<std::unique_ptr<FileServer>> NfsServer::open(const NfsAddress& address,
                                                    const ServerTimes& times) {
  std::unique_ptr<NfsServer> server(new NfsServer(address));
  DW_TRY(server->begin(address, times));
  server->connection_->set_limit(0);
  DW_ASSIGN(server->traffic_,
            NfsTraffic::create(*server->protocol_, address.little_memory ? NfsTraffic::kFewBlocks
                                                                         : NfsTraffic::kBlocks));
  return std::unique_ptr<FileServer>(std::move(server));
}

Status NfsServer::begin(const NfsAddress& address, const ServerTimes& times) {
  if (address.version == 3) return begin3(address, times);
  Status four = begin4(address, times);
  if (four.ok() || address.version == 4 || !another_version_may_help(four.error())) return four;
  // The protocol goes before the connection that it uses.
  protocol_.reset();
  connection_.reset();
  Status three = begin3(address, times);
  // What is wrong with the older version need not be what is wrong.
  if (!three.ok() && four.error().kind() != ErrorKind::kUnsupported) return four;
  return three;
}

Status NfsServer::begin3(const NfsAddress& address, const ServerTimes& times) {
  RpcPeer peer = peer_of(address, display_);
  DW_ASSIGN(NfsMount mount, mount_nfs3(peer, address.mount_port, address.directory, times));
  DW_ASSIGN(connection_, RpcConnection::connect(peer, times, NfsProtocol::kMostRead));
  connection_->set_limit(times.connect_ms);
  auto protocol = std::make_unique<Nfs3>(*connection_);
  DW_TRY(protocol->begin(mount.handle, NfsTraffic::kMostWritten));
  protocol_ = std::move(protocol);
  version_ = 3;
  root_ = mount.handle;
  return descend(address.directory.substr(mount.path.size()));
}

Status NfsServer::begin4(const NfsAddress& address, const ServerTimes& times) {
  RpcPeer peer = peer_of(address, display_);
  DW_ASSIGN(connection_, RpcConnection::connect(peer, times, NfsProtocol::kMostRead));
  connection_->set_limit(times.connect_ms);
  auto four = std::make_unique<Nfs4>(*connection_);
  Nfs4& protocol = *four;
  protocol_ = std::move(four);
  version_ = 4;
  auto root = protocol.begin();
  if (!root.ok()) return told(root.error(), "");
  root_ = *root;
  auto directory = protocol.enter(root_, names_of(address.directory), NfsTraffic::kMostWritten);
  if (!directory.ok() && is_lost(directory.error())) return directory.error();
  if (directory.ok()) {
    root_ = *directory;
    return {};
  }
  DW_TRY(descend(address.directory));
  return protocol.learn_limits(root_, NfsTraffic::kMostWritten);
}

Status NfsServer::descend(const std::string& path) {
  auto directory = walk(root_, path, Missing::kMake);
  if (!directory.ok()) {
    Error error = directory.error();
    return is_lost(error) ? error : error.on(display_);
  }
  root_ = *directory;
  return {};
}

Result<NfsHandle> NfsServer::walk(NfsHandle from, const std::string& path, Missing missing) {
  size_t at = 0;
  for (std::string name = next_name(path, at); !name.empty(); name = next_name(path, at)) {
    Result<NfsEntry> entry = protocol_->look_up(from, name);
    if (missing == Missing::kMake && !entry.ok() && entry.error().errno_value() == ENOENT) {
      auto made = protocol_->make_directory(from, name);
      if (!made.ok() && made.error().errno_value() != EEXIST) return not_made(made.error());
      if (made.ok() && *made) {
        from = **made;
        continue;
      }
      entry = protocol_->look_up(from, name);
    }
    if (!entry.ok()) return entry.error();
    if (entry->entry.kind != ServerEntry::Kind::kDirectory)
      return Error::from_errno("a part of the path is no directory", ENOTDIR);
    from = entry->handle;
  }
  return from;
}

Result<NfsServer::Place> NfsServer::place_of(const std::string& path) {
  DW_TRY(connection_->state());
  size_t slash = path.rfind('/');
  Place place{root_, slash == std::string::npos ? path : path.substr(slash + 1)};
  if (slash == std::string::npos) return place;
  std::string parent = path.substr(0, slash);
  if (!last_directory_ || parent != last_path_) {
    auto directory = walk(root_, parent);
    if (!directory.ok()) return told(directory.error(), path);
    remember(parent, *directory);
  }
  place.directory = *last_directory_;
  return place;
}

Error NfsServer::told(Error error, const std::string& path) const {
  return connection_->state().ok() ? error.on(display_ + "/" + path) : error;
}

Result<ServerEntry> NfsServer::look(const std::string& path) {
  auto place = place_of(path);
  if (!place.ok())
    return place.error().errno_value() == ENOENT ? Result<ServerEntry>(ServerEntry{})
                                                 : place.error();
  return found(protocol_->look_up(place->directory, place->name), path);
}

Result<ServerEntry> NfsServer::found(const Result<NfsEntry>& entry, const std::string& path) {
  if (!entry.ok() && entry.error().errno_value() == ENOENT) return ServerEntry{};
  if (!entry.ok()) return told(entry.error(), path);
  if (entry->entry.kind == ServerEntry::Kind::kDirectory) remember(path, entry->handle);
  return entry->entry;
}

void NfsServer::remember(const std::string& path, const NfsHandle& directory) {
  last_path_ = path;
  last_directory_ = directory;
}

void NfsServer::forget(const std::string& path) {
  if (last_path_ == path || last_path_.starts_with(path + "/")) last_directory_.reset();
}

// Those beside each other at once.
std::vector<Result<ServerEntry>> NfsServer::look_at(std::span<const std::string> paths) {
  std::vector<Result<ServerEntry>> entries;
  while (entries.size() < paths.size()) {
    std::span<const std::string> left = paths.subspan(entries.size());
    std::vector<std::string> names;
    for (const std::string& path : left) {
      if (parent_of(path) != parent_of(left[0])) break;
      names.push_back(path.substr(path.rfind('/') + 1));
    }
    auto place = place_of(left[0]);
    bool is_missing = !place.ok() && place.error().errno_value() == ENOENT;
    if (!place.ok()) {
      entries.insert(entries.end(), names.size(),
                     is_missing ? Result<ServerEntry>(ServerEntry{}) : place.error());
      continue;
    }
    auto looked = protocol_->look_up_all(place->directory, names);
    for (size_t i = 0; i < looked.size(); ++i) entries.push_back(found(looked[i], left[i]));
  }
  return entries;
}

Status NfsServer::make_directory(const std::string& path) {
  DW_ASSIGN(Place place, place_of(path));
  auto made = protocol_->make_directory(place.directory, place.name);
  if (!made.ok()) return told(made.error(), path);
  if (*made) remember(path, **made);
  return {};
}

Result<std::unique_ptr<ServerFile>> NfsServer::open(const std::string& path, Open how) {
  DW_ASSIGN(Place place, place_of(path));
  auto file = protocol_->open(place.directory, place.name, how);
  if (!file.ok()) return told(file.error(), path);
  return std::unique_ptr<ServerFile>(
      std::make_unique<NfsFile>(*protocol_, *traffic_, std::move(*file), display_ + "/" + path));
}

Status NfsServer::rename(const std::string& from, const std::string& to) {
  DW_ASSIGN(Place source, place_of(from));
  DW_ASSIGN(Place target, place_of(to));
  auto entry = protocol_->look_up(source.directory, source.name);
  if (!entry.ok()) return told(entry.error(), from);
  forget(from);
  forget(to);
  bool is_file = entry->entry.kind == ServerEntry::Kind::kFile;
  Status renamed =
      is_file ? rename_file(source, entry->handle, target, nullptr) : rename_other(source, target);
  if (!renamed.ok()) return told(renamed.error(), to);
  return {};
}

Status NfsServer::rename_open(const std::string& from, const std::string& to, ServerFile& file) {
  DW_ASSIGN(Place source, place_of(from));
  DW_ASSIGN(Place target, place_of(to));
  Status renamed = rename_file(source, static_cast<NfsFile&>(file).handle(), target, &file);
  if (!renamed.ok()) return told(renamed.error(), to);
  return {};
}

// Two handles of one file should be equal, but need not be.
Result<bool> NfsServer::has_name(ServerFile& file, const std::string& path,
                                 const FileLengths& lengths) {
  DW_ASSIGN(Place place, place_of(path));
  auto named = protocol_->look_up(place.directory, place.name);
  if (!named.ok() && named.error().errno_value() == ENOENT) return false;
  if (!named.ok()) return told(named.error(), path);
  if (same(named->handle, static_cast<NfsFile&>(file).handle())) return true;
  return FileServer::has_name(file, path, lengths);
}

// NFS can only rename over what is there; a second name for a file it gives only if there is none.
Status NfsServer::rename_file(const Place& from, const NfsHandle& file, const Place& to,
                              ServerFile* open) {
  Status linked = protocol_->link(file, to.directory, to.name);
  if (!linked.ok() && linked.error().errno_value() == EOPNOTSUPP) {
    DW_TRY(rename_other(from, to));
    return open != nullptr ? open->commit() : Status();
  }
  if (!linked.ok() && linked.error().errno_value() == EEXIST) {
    // One that was cut off between its two steps is brought to its end.
    DW_ASSIGN(NfsEntry there, protocol_->look_up(to.directory, to.name));
    if (!same(there.handle, file)) return linked;
  } else if (!linked.ok()) {
    return linked;
  }
  if (open == nullptr) return protocol_->remove(from.directory, from.name, false);
  // The new name becomes durable while the old one goes.
  DW_TRY(open->start_commit());
  Status removed = protocol_->remove(from.directory, from.name, false);
  Status kept = open->finish_commit();
  return removed.ok() ? kept : removed;
}

Status NfsServer::finish_rename(const std::string& from, const std::string& to) {
  DW_ASSIGN(Place source, place_of(from));
  DW_ASSIGN(Place target, place_of(to));
  auto first = protocol_->look_up(source.directory, source.name);
  if (!first.ok())
    return first.error().errno_value() == ENOENT ? Status() : told(first.error(), from);
  auto second = protocol_->look_up(target.directory, target.name);
  if (!second.ok())
    return second.error().errno_value() == ENOENT ? Status() : told(second.error(), to);
  bool two_names_of_a_file =
      first->entry.kind == ServerEntry::Kind::kFile && same(first->handle, second->handle);
  return two_names_of_a_file ? remove(from) : Status();
}

// Directories, and files where the server's file system has no second names: somebody else may take
// the name between the two steps.
Status NfsServer::rename_other(const Place& from, const Place& to) {
  auto there = protocol_->look_up(to.directory, to.name);
  if (there.ok()) return Error::from_errno("cannot rename", EEXIST);
  if (there.error().errno_value() != ENOENT) return there.error();
  return protocol_->rename(from.directory, from.name, to.directory, to.name);
}

Status NfsServer::replace(const std::string& from, const std::string& to) {
  DW_ASSIGN(Place source, place_of(from));
  DW_ASSIGN(Place target, place_of(to));
  forget(from);
  forget(to);
  Status renamed = protocol_->rename(source.directory, source.name, target.directory, target.name);
  if (!renamed.ok()) return told(renamed.error(), to);
  return {};
}

Status NfsServer::remove_at(const std::string& path, bool a_directory) {
  DW_ASSIGN(Place place, place_of(path));
  forget(path);
  Status removed = protocol_->remove(place.directory, place.name, a_directory);
  if (!removed.ok()) return told(removed.error(), path);
  return {};
}

Status NfsServer::remove(const std::string& path) { return remove_at(path, false); }
Status NfsServer::remove_directory(const std::string& path) { return remove_at(path, true); }

Result<std::optional<uint64_t>> NfsServer::free_bytes() {
  DW_TRY(connection_->state());
  auto free = protocol_->free_bytes(root_);
  if (!free.ok()) return told(free.error(), "");
  return free;
}

size_t NfsServer::memory_bytes() const {
  return traffic_->memory_bytes() + connection_->memory_bytes();
}

}  // namespace dw
