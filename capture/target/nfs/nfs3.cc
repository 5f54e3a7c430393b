#include "capture/target/nfs/nfs3.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

namespace dw {

namespace {

constexpr uint32_t kFileMode = 0600;
constexpr uint32_t kDirectoryMode = 0700;

NfsCall nfs_call(uint32_t number, RpcArguments arguments) {
  return {{NFS_PROGRAM, NFS_V3, number}, arguments};
}

// What libnfs encodes from is not const, but it only reads it.
nfs_fh3 borrow(const NfsHandle& handle) {
  nfs_fh3 result{};
  result.data.data_len = handle.size;
  result.data.data_val = const_cast<char*>(handle.bytes.data());
  return result;
}

diropargs3 borrow(const NfsHandle& directory, const std::string& name) {
  return {borrow(directory), const_cast<char*>(name.c_str())};
}

sattr3 with_mode(uint32_t mode) {
  sattr3 attributes{};
  attributes.mode.set_it = 1;
  attributes.mode.set_mode3_u.mode = mode;
  return attributes;
}

NfsHandle read_handle(XdrReader& reader) {
  NfsHandle handle;
  Bytes bytes = reader.opaque(NFS3_FHSIZE);
  if (bytes.empty()) reader.fail();
  handle.size = static_cast<uint32_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(handle.bytes.data()));
  return handle;
}

// fattr3: type, mode, links, uid, gid; size, used, rdev, fsid, fileid; three times.
void read_attributes(XdrReader& reader, NfsEntry& entry) {
  uint32_t type = reader.u32();
  reader.fixed(16);
  entry.entry.size = reader.u64();
  reader.fixed(32 + 24);
  entry.is_symlink = type == NF3LNK;
  entry.entry.kind = type == NF3REG   ? ServerEntry::Kind::kFile
                     : type == NF3DIR ? ServerEntry::Kind::kDirectory
                                      : ServerEntry::Kind::kOther;
  if (type != NF3REG) entry.entry.size = 0;
}

// post_op_attr. Whether it was there.
bool read_optional_attributes(XdrReader& reader, NfsEntry& entry) {
  bool there = reader.boolean();
  if (there) read_attributes(reader, entry);
  return there;
}

void skip_attributes(XdrReader& reader) {
  NfsEntry nobody;
  read_optional_attributes(reader, nobody);
}

// wcc_data: size, mtime and ctime before, attributes after.
void skip_changes(XdrReader& reader) {
  if (reader.boolean()) reader.fixed(24);
  skip_attributes(reader);
}

NfsVerifier read_verifier(XdrReader& reader) {
  NfsVerifier verifier{};
  Bytes bytes = reader.fixed(verifier.size());
  std::copy(bytes.begin(), bytes.end(), verifier.begin());
  return verifier;
}

uint32_t clamp_size(uint32_t size, uint32_t limit) {
  constexpr uint32_t kLeast = 1024;
  return std::clamp(size, std::min(kLeast, limit), limit);
}

int errno_of_kind(const NfsEntry& entry) {
  if (entry.is_symlink) return ELOOP;
  return entry.entry.kind == ServerEntry::Kind::kDirectory ? EISDIR : EINVAL;
}

}  // namespace

Status Nfs3::begin(const NfsHandle& root, uint32_t limit) {
  FSINFO3args arguments{borrow(root)};
  DW_ASSIGN(XdrReader results, call(nfs_call(NFS3_FSINFO, encoder<zdr_FSINFO3args>(arguments)),
                                    "cannot ask the server for its limits"));
  skip_attributes(results);
  uint32_t most_read = results.u32();
  results.fixed(8);
  uint32_t most_written = results.u32();
  if (!results.ok()) return broken_reply();
  most_read_ = clamp_size(most_read, std::min(limit, kMostRead));
  most_written_ = clamp_size(most_written, limit);
  return {};
}

Result<NfsEntry> Nfs3::attributes_of(const NfsHandle& handle) {
  GETATTR3args arguments{borrow(handle)};
  DW_ASSIGN(XdrReader results, call(nfs_call(NFS3_GETATTR, encoder<zdr_GETATTR3args>(arguments)),
                                    "cannot look at the file"));
  NfsEntry entry;
  entry.handle = handle;
  read_attributes(results, entry);
  if (!results.ok()) return broken_reply();
  return entry;
}

Result<NfsEntry> Nfs3::look_up(const NfsHandle& directory, const std::string& name) {
  DW_ASSIGN(XdrReader results,
            call(look_up_call(directory, name), "cannot look for it on the server"));
  NfsEntry entry;
  entry.handle = read_handle(results);
  bool complete = read_optional_attributes(results, entry);
  if (!results.ok()) return broken_reply();
  if (complete) return entry;
  return attributes_of(entry.handle);
}

NfsCall Nfs3::look_up_call(const NfsHandle& directory, const std::string& name) {
  look_up_ = {borrow(directory, name)};
  return nfs_call(NFS3_LOOKUP, encoder<zdr_LOOKUP3args>(look_up_));
}

std::optional<NfsEntry> Nfs3::look_up_results(XdrReader& results) {
  NfsEntry entry;
  entry.handle = read_handle(results);
  return read_optional_attributes(results, entry) ? std::optional(entry) : std::nullopt;
}

Result<std::optional<NfsHandle>> Nfs3::make_directory(const NfsHandle& directory,
                                                      const std::string& name) {
  MKDIR3args arguments{borrow(directory, name), with_mode(kDirectoryMode)};
  DW_ASSIGN(XdrReader results, call(nfs_call(NFS3_MKDIR, encoder<zdr_MKDIR3args>(arguments)),
                                    "cannot make the directory"));
  if (!results.boolean()) return std::optional<NfsHandle>();
  NfsHandle handle = read_handle(results);
  if (!results.ok()) return broken_reply();
  return std::optional(handle);
}

Result<NfsHandle> Nfs3::create(const NfsHandle& directory, const std::string& name) {
  CREATE3args arguments{};
  arguments.where = borrow(directory, name);
  arguments.how.mode = GUARDED;
  arguments.how.createhow3_u.g_obj_attributes = with_mode(kFileMode);
  DW_ASSIGN(XdrReader results, call(nfs_call(NFS3_CREATE, encoder<zdr_CREATE3args>(arguments)),
                                    "cannot make the file"));
  if (!results.boolean()) {
    DW_ASSIGN(NfsEntry entry, look_up(directory, name));
    return entry.handle;
  }
  NfsHandle handle = read_handle(results);
  if (!results.ok()) return broken_reply();
  return handle;
}

Result<std::unique_ptr<NfsOpenFile>> Nfs3::open(const NfsHandle& directory, const std::string& name,
                                                FileServer::Open how) {
  auto file = std::make_unique<NfsOpenFile>();
  if (how == FileServer::Open::kCreate) {
    DW_ASSIGN(file->handle, create(directory, name));
    return file;
  }
  DW_ASSIGN(NfsEntry entry, look_up(directory, name));
  if (entry.entry.kind != ServerEntry::Kind::kFile)
    return Error::from_errno("cannot open: it is no file", errno_of_kind(entry));
  file->handle = entry.handle;
  return file;
}

Status Nfs3::rename(const NfsHandle& from_directory, const std::string& from,
                    const NfsHandle& to_directory, const std::string& to) {
  RENAME3args arguments{borrow(from_directory, from), borrow(to_directory, to)};
  DW_TRY(call(nfs_call(NFS3_RENAME, encoder<zdr_RENAME3args>(arguments)), "cannot rename"));
  return {};
}

Status Nfs3::link(const NfsHandle& file, const NfsHandle& directory, const std::string& name) {
  LINK3args arguments{borrow(file), borrow(directory, name)};
  DW_TRY(call(nfs_call(NFS3_LINK, encoder<zdr_LINK3args>(arguments)), "cannot give the name"));
  return {};
}

Status Nfs3::remove(const NfsHandle& directory, const std::string& name, bool a_directory) {
  REMOVE3args arguments{borrow(directory, name)};
  RMDIR3args of_directory{arguments.object};
  NfsCall removal = a_directory ? nfs_call(NFS3_RMDIR, encoder<zdr_RMDIR3args>(of_directory))
                                : nfs_call(NFS3_REMOVE, encoder<zdr_REMOVE3args>(arguments));
  DW_TRY(call(removal, "cannot remove"));
  return {};
}

Result<std::optional<uint64_t>> Nfs3::free_bytes(const NfsHandle& directory) {
  FSSTAT3args arguments{borrow(directory)};
  DW_ASSIGN(XdrReader results, call(nfs_call(NFS3_FSSTAT, encoder<zdr_FSSTAT3args>(arguments)),
                                    "cannot ask how much is free"));
  skip_attributes(results);
  results.fixed(16);
  uint64_t available = results.u64();
  if (!results.ok()) return broken_reply();
  return std::optional(available);
}

Result<uint64_t> Nfs3::size(const NfsOpenFile& file) {
  DW_ASSIGN(NfsEntry entry, attributes_of(file.handle));
  return entry.entry.size;
}

Status Nfs3::truncate(const NfsOpenFile& file, uint64_t length) {
  SETATTR3args arguments{};
  arguments.object = borrow(file.handle);
  arguments.new_attributes.size.set_it = 1;
  arguments.new_attributes.size.set_size3_u.size = length;
  DW_TRY(call(nfs_call(NFS3_SETATTR, encoder<zdr_SETATTR3args>(arguments)),
              "cannot change the length of the file"));
  return {};
}

NfsCall Nfs3::write_call(const NfsOpenFile& file, uint64_t offset, uint32_t count, Keep keep) {
  stable_how stable = keep == Keep::kDurably ? FILE_SYNC : UNSTABLE;
  write_ = {borrow(file.handle), offset, count, stable, {0, nullptr}};
  // What libnfs copies as no bytes must not be a null pointer.
  write_.data.data_val = write_.file.data.data_val;
  return nfs_call(NFS3_WRITE, encoder<zdr_WRITE3args>(write_));
}

NfsCall Nfs3::commit_call(const NfsOpenFile& file) {
  commit_ = {borrow(file.handle), 0, 0};
  return nfs_call(NFS3_COMMIT, encoder<zdr_COMMIT3args>(commit_));
}

NfsCall Nfs3::read_call(const NfsOpenFile& file, uint64_t offset, uint32_t count) {
  read_ = {borrow(file.handle), offset, count};
  return nfs_call(NFS3_READ, encoder<zdr_READ3args>(read_));
}

NfsProtocol::WriteResults Nfs3::write_results(XdrReader& results) {
  WriteResults answer;
  answer.status = results.u32();
  if (answer.status != NFS3_OK) return answer;
  skip_changes(results);
  answer.written.count = results.u32();
  answer.written.durable = results.u32() == FILE_SYNC;
  answer.written.verifier = read_verifier(results);
  return answer;
}

NfsProtocol::CommitResults Nfs3::commit_results(XdrReader& results) {
  CommitResults answer;
  answer.status = results.u32();
  if (answer.status != NFS3_OK) return answer;
  skip_changes(results);
  answer.verifier = read_verifier(results);
  return answer;
}

NfsProtocol::ReadResults Nfs3::read_results(XdrReader& results) {
  ReadResults answer;
  answer.status = results.u32();
  if (answer.status != NFS3_OK) return answer;
  skip_attributes(results);
  uint32_t count = results.u32();
  answer.read.end = results.boolean();
  answer.read.data = results.opaque(most_read_);
  if (answer.read.data.size() != count) results.fail();
  return answer;
}

}  // namespace dw
