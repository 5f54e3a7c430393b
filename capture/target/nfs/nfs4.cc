#include "capture/target/nfs/nfs4.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace dw {

namespace {

constexpr uint32_t kFileMode = 0600;
constexpr uint32_t kDirectoryMode = 0700;
constexpr uint32_t kLeastSize = 1024;
constexpr uint64_t kShortestLeaseMs = 1000;

ServerEntry::Kind kind_of(uint64_t type) {
  switch (type) {
    case NF4REG:
      return ServerEntry::Kind::kFile;
    case NF4DIR:
      return ServerEntry::Kind::kDirectory;
    default:
      return ServerEntry::Kind::kOther;
  }
}

uint32_t clamp_size(const Nfs4Results::Attribute& size, uint32_t limit) {
  if (!size.there) return limit;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(size.value, std::min(kLeastSize, limit), limit));
}

// Of no other client, nor of one of ours before: what that has open must not be ours.
std::string client_name() {
  char host[64] = "";
  static_cast<void>(::gethostname(host, sizeof(host) - 1));
  return "dumpwright " + std::string(host) + " " + std::to_string(::getpid()) + " " +
         std::to_string(clock_ns(CLOCK_REALTIME)) + " " + std::to_string(monotonic_ns());
}

}  // namespace

Status Nfs4::done(Nfs4Compound& compound, const char* what) {
  DW_TRY(call(compound.call(), what));
  return {};
}

Result<NfsHandle> Nfs4::begin() {
  static char netid[] = "tcp";
  static char nowhere[] = "0.0.0.0.0.0";
  std::string name = client_name();
  Nfs4Compound compound;
  compound.root().get_handle().get_attributes({FATTR4_LEASE_TIME});
  SETCLIENTID4args& arguments = compound.add(OP_SETCLIENTID).nfs_argop4_u.opsetclientid;
  uint64_t boot = monotonic_ns();
  std::memcpy(arguments.client.verifier, &boot, sizeof(boot));
  arguments.client.id = {static_cast<u_int>(name.size()), name.data()};
  arguments.callback = {0, {netid, nowhere}};
  DW_ASSIGN(XdrReader reader, call(compound.call(), "the server does not take us as a client"));
  Nfs4Results results(reader);
  results.expect({OP_PUTROOTFH, OP_GETFH});
  NfsHandle root = results.handle();
  results.expect(OP_GETATTR);
  Nfs4Results::Attribute lease{FATTR4_LEASE_TIME, 4};
  results.attributes({&lease});
  results.expect(OP_SETCLIENTID);
  client_ = reader.u64();
  NfsVerifier verifier = results.verifier();
  if (!reader.ok()) return broken_reply();
  lease_ms_ = std::max(lease.value * 1000, kShortestLeaseMs);
  DW_TRY(confirm_client(verifier));
  return root;
}

Status Nfs4::confirm_client(const NfsVerifier& verifier) {
  Nfs4Compound compound;
  auto& arguments = compound.add(OP_SETCLIENTID_CONFIRM).nfs_argop4_u.opsetclientid_confirm;
  arguments.clientid = client_;
  std::memcpy(arguments.setclientid_confirm, verifier.data(), verifier.size());
  last_renewal_ms_ = monotonic_ms();
  return done(compound, "the server does not take us as a client");
}

Result<NfsHandle> Nfs4::enter(const NfsHandle& root, std::span<const std::string> names,
                              uint32_t limit) {
  constexpr size_t kOthers = 3;
  if (names.size() > Nfs4Compound::kMaxOperations - kOthers)
    return Error::from_errno("the path is too long for one step", ENAMETOOLONG);
  Nfs4Compound compound;
  compound.handle(root);
  for (const std::string& name : names) compound.look_up(name);
  compound.get_handle().get_attributes({FATTR4_TYPE, FATTR4_MAXREAD, FATTR4_MAXWRITE});
  DW_ASSIGN(XdrReader reader, call(compound.call(), "cannot enter the directory"));
  Nfs4Results results(reader);
  results.expect(OP_PUTFH);
  for (size_t i = 0; i < names.size(); ++i) results.expect(OP_LOOKUP);
  results.expect(OP_GETFH);
  NfsHandle handle = results.handle();
  results.expect(OP_GETATTR);
  Nfs4Results::Attribute type{FATTR4_TYPE, 4};
  Nfs4Results::Attribute most_read{FATTR4_MAXREAD, 8};
  Nfs4Results::Attribute most_written{FATTR4_MAXWRITE, 8};
  results.attributes({&type, &most_read, &most_written});
  if (!reader.ok()) return broken_reply();
  if (type.value != NF4DIR) return Error::from_errno("a part of the path is no directory", ENOTDIR);
  most_read_ = clamp_size(most_read, std::min(limit, kMostRead));
  most_written_ = clamp_size(most_written, limit);
  return handle;
}

Status Nfs4::learn_limits(const NfsHandle& directory, uint32_t limit) {
  Nfs4Compound compound;
  compound.handle(directory).get_attributes({FATTR4_MAXREAD, FATTR4_MAXWRITE});
  DW_ASSIGN(XdrReader reader, call(compound.call(), "cannot ask the server for its limits"));
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_GETATTR});
  Nfs4Results::Attribute most_read{FATTR4_MAXREAD, 8};
  Nfs4Results::Attribute most_written{FATTR4_MAXWRITE, 8};
  results.attributes({&most_read, &most_written});
  if (!reader.ok()) return broken_reply();
  most_read_ = clamp_size(most_read, std::min(limit, kMostRead));
  most_written_ = clamp_size(most_written, limit);
  return {};
}

Result<NfsEntry> Nfs4::look_up(const NfsHandle& directory, const std::string& name) {
  DW_ASSIGN(XdrReader reader,
            call(look_up_call(directory, name), "cannot look for it on the server"));
  std::optional<NfsEntry> entry = look_up_results(reader);
  if (!reader.ok() || !entry) return broken_reply();
  return *entry;
}

NfsCall Nfs4::look_up_call(const NfsHandle& directory, const std::string& name) {
  look_up_ = {};
  look_up_.handle(directory).look_up(name).get_handle().get_attributes({FATTR4_TYPE, FATTR4_SIZE});
  return look_up_.call();
}

std::optional<NfsEntry> Nfs4::look_up_results(XdrReader& reader) {
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_LOOKUP, OP_GETFH});
  NfsEntry entry;
  entry.handle = results.handle();
  results.expect(OP_GETATTR);
  Nfs4Results::Attribute type{FATTR4_TYPE, 4};
  Nfs4Results::Attribute size{FATTR4_SIZE, 8};
  results.attributes({&type, &size});
  if (!reader.ok() || !type.there) return std::nullopt;
  entry.entry.kind = kind_of(type.value);
  entry.is_symlink = type.value == NF4LNK;
  if (entry.entry.kind == ServerEntry::Kind::kFile) entry.entry.size = size.value;
  return entry;
}

// The handle would be behind attributes and masks that are of no use here.
Result<std::optional<NfsHandle>> Nfs4::make_directory(const NfsHandle& directory,
                                                      const std::string& name) {
  Nfs4Compound compound;
  compound.handle(directory).make_directory(name, kDirectoryMode);
  DW_TRY(done(compound, "cannot make the directory"));
  return std::optional<NfsHandle>();
}

Result<std::unique_ptr<NfsOpenFile>> Nfs4::open(const NfsHandle& directory, const std::string& name,
                                                FileServer::Open how) {
  auto file = std::make_unique<OpenFile>();
  bool create = how == FileServer::Open::kCreate;
  // An owner of its own for each open: none has to wait for another's sequence.
  uint64_t owner = ++opens_;
  Nfs4Compound compound;
  compound.handle(directory);
  OPEN4args& arguments = compound.add(OP_OPEN).nfs_argop4_u.opopen;
  arguments.seqid = file->next_sequence++;
  arguments.share_access =
      how == FileServer::Open::kRead ? OPEN4_SHARE_ACCESS_READ : OPEN4_SHARE_ACCESS_BOTH;
  arguments.share_deny = OPEN4_SHARE_DENY_NONE;
  arguments.owner = {client_, {sizeof(owner), reinterpret_cast<char*>(&owner)}};
  arguments.openhow.opentype = create ? OPEN4_CREATE : OPEN4_NOCREATE;
  if (create) {
    arguments.openhow.openflag4_u.how.mode = GUARDED4;
    arguments.openhow.openflag4_u.how.createhow4_u.createattrs = compound.with_mode(kFileMode);
  }
  arguments.claim.claim = CLAIM_NULL;
  component4& target = arguments.claim.open_claim4_u.file;
  target = {static_cast<u_int>(name.size()), const_cast<char*>(name.data())};
  compound.get_handle();
  DW_ASSIGN(XdrReader reader,
            call(compound.call(), create ? "cannot make the file" : "cannot open"));
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_OPEN});
  file->state = results.state();
  uint32_t flags = results.open_flags();
  results.expect(OP_GETFH);
  file->handle = results.handle();
  if (!reader.ok()) return broken_reply();
  if ((flags & OPEN4_RESULT_CONFIRM) != 0) DW_TRY(confirm_open(*file));
  return std::unique_ptr<NfsOpenFile>(std::move(file));
}

Status Nfs4::confirm_open(OpenFile& file) {
  Nfs4Compound compound;
  compound.handle(file.handle);
  auto& arguments = compound.add(OP_OPEN_CONFIRM).nfs_argop4_u.opopen_confirm;
  arguments.open_stateid = file.state;
  arguments.seqid = file.next_sequence++;
  DW_ASSIGN(XdrReader reader, call(compound.call(), "cannot open"));
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_OPEN_CONFIRM});
  file.state = results.state();
  if (!reader.ok()) return broken_reply();
  return {};
}

void Nfs4::close(NfsOpenFile& file) {
  auto& open_file = static_cast<OpenFile&>(file);
  if (!connection().state().ok() || !connection().has_room()) return;
  Nfs4Compound compound;
  compound.handle(file.handle);
  CLOSE4args& arguments = compound.add(OP_CLOSE).nfs_argop4_u.opclose;
  arguments.seqid = open_file.next_sequence++;
  arguments.open_stateid = open_file.state;
  NfsCall closing = compound.call();
  if (connection()
          .submit(closing.procedure, closing.arguments, {}, nobody_, 0, RpcConnection::Kind::kAside)
          .ok())
    static_cast<void>(connection().move_on());
}

void Nfs4::keep_alive() {
  if (client_ == 0) return;  // not known there yet
  uint64_t now_ms = monotonic_ms();
  if (now_ms - last_renewal_ms_ < lease_ms_ / 3 || !connection().has_room()) return;
  last_renewal_ms_ = now_ms;
  Nfs4Compound compound;
  compound.add(OP_RENEW).nfs_argop4_u.oprenew.clientid = client_;
  NfsCall renewal = compound.call();
  // A failure is that of the connection, and found by the next who uses it.
  static_cast<void>(connection().submit(renewal.procedure, renewal.arguments, {}, nobody_, 0,
                                        RpcConnection::Kind::kAside));
}

Status Nfs4::rename(const NfsHandle& from_directory, const std::string& from,
                    const NfsHandle& to_directory, const std::string& to) {
  Nfs4Compound compound;
  compound.handle(from_directory).save().handle(to_directory).rename(from, to);
  return done(compound, "cannot rename");
}

Status Nfs4::link(const NfsHandle& file, const NfsHandle& directory, const std::string& name) {
  Nfs4Compound compound;
  compound.handle(file).save().handle(directory).link(name);
  return done(compound, "cannot give the name");
}

// REMOVE takes files and directories alike, so what it is comes first.
Status Nfs4::remove(const NfsHandle& directory, const std::string& name, bool a_directory) {
  Nfs4Compound compound;
  compound.handle(directory).look_up(name);
  a_directory ? compound.if_directory() : compound.unless_directory();
  compound.handle(directory).remove(name);
  return done(compound, "cannot remove");
}

Result<std::optional<uint64_t>> Nfs4::free_bytes(const NfsHandle& directory) {
  Nfs4Compound compound;
  compound.handle(directory).get_attributes({FATTR4_QUOTA_AVAIL_HARD, FATTR4_SPACE_AVAIL});
  DW_ASSIGN(XdrReader reader, call(compound.call(), "cannot ask how much is free"));
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_GETATTR});
  Nfs4Results::Attribute quota{FATTR4_QUOTA_AVAIL_HARD, 8};
  Nfs4Results::Attribute space{FATTR4_SPACE_AVAIL, 8};
  results.attributes({&quota, &space});
  if (!reader.ok()) return broken_reply();
  if (quota.there && space.there) return std::optional(std::min(quota.value, space.value));
  if (quota.there) return std::optional(quota.value);
  return space.there ? std::optional(space.value) : std::nullopt;
}

Result<uint64_t> Nfs4::size(const NfsOpenFile& file) {
  Nfs4Compound compound;
  compound.handle(file.handle).get_attributes({FATTR4_SIZE});
  DW_ASSIGN(XdrReader reader, call(compound.call(), "cannot look at the file"));
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_GETATTR});
  Nfs4Results::Attribute size{FATTR4_SIZE, 8};
  results.attributes({&size});
  if (!reader.ok() || !size.there) return broken_reply();
  return size.value;
}

Status Nfs4::truncate(const NfsOpenFile& file, uint64_t length) {
  Nfs4Compound compound;
  compound.handle(file.handle).set_size(state_of(file), length);
  return done(compound, "cannot change the length of the file");
}

NfsCall Nfs4::write_call(const NfsOpenFile& file, uint64_t offset, uint32_t /*count*/, Keep keep) {
  static char no_data[1] = "";
  scratch_ = {};
  scratch_.handle(file.handle);
  WRITE4args& arguments = scratch_.add(OP_WRITE).nfs_argop4_u.opwrite;
  arguments.stateid = state_of(file);
  arguments.offset = offset;
  arguments.stable = keep == Keep::kDurably ? FILE_SYNC4 : UNSTABLE4;
  arguments.data = {0, no_data};
  return scratch_.call();
}

NfsCall Nfs4::commit_call(const NfsOpenFile& file) {
  scratch_ = {};
  scratch_.handle(file.handle);
  scratch_.add(OP_COMMIT).nfs_argop4_u.opcommit = {0, 0};
  return scratch_.call();
}

NfsCall Nfs4::read_call(const NfsOpenFile& file, uint64_t offset, uint32_t count) {
  scratch_ = {};
  scratch_.handle(file.handle);
  scratch_.add(OP_READ).nfs_argop4_u.opread = {state_of(file), offset, count};
  return scratch_.call();
}

NfsProtocol::WriteResults Nfs4::write_results(XdrReader& reader) {
  WriteResults answer;
  answer.status = reader.u32();
  if (answer.status != NFS4_OK) return answer;
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_WRITE});
  answer.written.count = reader.u32();
  answer.written.durable = reader.u32() == FILE_SYNC4;
  answer.written.verifier = results.verifier();
  return answer;
}

NfsProtocol::CommitResults Nfs4::commit_results(XdrReader& reader) {
  CommitResults answer;
  answer.status = reader.u32();
  if (answer.status != NFS4_OK) return answer;
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_COMMIT});
  answer.verifier = results.verifier();
  return answer;
}

NfsProtocol::ReadResults Nfs4::read_results(XdrReader& reader) {
  ReadResults answer;
  answer.status = reader.u32();
  if (answer.status != NFS4_OK) return answer;
  Nfs4Results results(reader);
  results.expect({OP_PUTFH, OP_READ});
  answer.read.end = reader.boolean();
  answer.read.data = reader.opaque(most_read_);
  return answer;
}

}  // namespace dw
