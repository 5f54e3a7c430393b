#include "capture/target/nfs/nfs4_compound.h"

#include <algorithm>
#include <cstring>

#include "capture/base/check.h"

namespace dw {

namespace {

constexpr size_t kMaxTag = 1024;
constexpr size_t kMaxAttributes = 1024;
constexpr size_t kMaxName = 1024;
constexpr uint32_t kMaxBitmapWords = 8;

// What libnfs encodes from is not const, but it only reads it.
component4 borrow(const std::string& name) {
  component4 result{};
  result.utf8string_len = static_cast<u_int>(name.size());
  result.utf8string_val = const_cast<char*>(name.data());
  return result;
}

bitmap4 borrow(const Nfs4Mask& mask) {
  return {static_cast<u_int>(mask.words.size()), const_cast<uint32_t*>(mask.words.data())};
}

}  // namespace

Nfs4Mask::Nfs4Mask(std::initializer_list<uint32_t> attributes) {
  for (uint32_t attribute : attributes) words[attribute / 32] |= 1U << attribute % 32;
}

nfs_argop4& Nfs4Compound::add(nfs_opnum4 operation) {
  DW_CHECK(count_ < kMaxOperations);
  operations_[count_].argop = operation;
  return operations_[count_++];
}

NfsCall Nfs4Compound::call() {
  static char no_tag[1] = "";
  arguments_.tag.utf8string_val = no_tag;
  arguments_.argarray.argarray_len = static_cast<u_int>(count_);
  arguments_.argarray.argarray_val = operations_.data();
  return {{NFS4_PROGRAM, NFS_V4, NFSPROC4_COMPOUND}, encoder<zdr_COMPOUND4args>(arguments_)};
}

Nfs4Compound& Nfs4Compound::root() {
  add(OP_PUTROOTFH);
  return *this;
}

Nfs4Compound& Nfs4Compound::handle(const NfsHandle& handle) {
  nfs_fh4& object = add(OP_PUTFH).nfs_argop4_u.opputfh.object;
  object.nfs_fh4_len = handle.size;
  object.nfs_fh4_val = const_cast<char*>(handle.bytes.data());
  return *this;
}

Nfs4Compound& Nfs4Compound::save() {
  add(OP_SAVEFH);
  return *this;
}

Nfs4Compound& Nfs4Compound::get_handle() {
  add(OP_GETFH);
  return *this;
}

Nfs4Compound& Nfs4Compound::look_up(const std::string& name) {
  add(OP_LOOKUP).nfs_argop4_u.oplookup.objname = borrow(name);
  return *this;
}

Nfs4Compound& Nfs4Compound::get_attributes(const Nfs4Mask& mask) {
  Attributes& kept = attributes_[attribute_count_++];
  kept.mask = mask;
  add(OP_GETATTR).nfs_argop4_u.opgetattr.attr_request = borrow(kept.mask);
  return *this;
}

// The value in the order of the network, in the last `size` of eight bytes.
fattr4 Nfs4Compound::attributes(const Nfs4Mask& mask, uint64_t value, uint32_t size) {
  DW_CHECK(attribute_count_ < attributes_.size());
  Attributes& kept = attributes_[attribute_count_++];
  kept.mask = mask;
  uint64_t swapped = __builtin_bswap64(value);
  std::memcpy(kept.values.data(), &swapped, sizeof(swapped));
  return {borrow(kept.mask), {size, kept.values.data() + (kept.values.size() - size)}};
}

fattr4 Nfs4Compound::with_mode(uint32_t mode) { return attributes({FATTR4_MODE}, mode, 4); }

Nfs4Compound& Nfs4Compound::verify(nfs_opnum4 operation) {
  fattr4 is_directory = attributes({FATTR4_TYPE}, NF4DIR, 4);
  nfs_argop4& added = add(operation);
  if (operation == OP_VERIFY)
    added.nfs_argop4_u.opverify.obj_attributes = is_directory;
  else
    added.nfs_argop4_u.opnverify.obj_attributes = is_directory;
  return *this;
}

Nfs4Compound& Nfs4Compound::if_directory() { return verify(OP_VERIFY); }
Nfs4Compound& Nfs4Compound::unless_directory() { return verify(OP_NVERIFY); }

Nfs4Compound& Nfs4Compound::make_directory(const std::string& name, uint32_t mode) {
  CREATE4args& arguments = add(OP_CREATE).nfs_argop4_u.opcreate;
  arguments.objtype.type = NF4DIR;
  arguments.objname = borrow(name);
  arguments.createattrs = with_mode(mode);
  return *this;
}

Nfs4Compound& Nfs4Compound::set_size(const stateid4& state, uint64_t size) {
  SETATTR4args& arguments = add(OP_SETATTR).nfs_argop4_u.opsetattr;
  arguments.stateid = state;
  arguments.obj_attributes = attributes({FATTR4_SIZE}, size, 8);
  return *this;
}

Nfs4Compound& Nfs4Compound::remove(const std::string& name) {
  add(OP_REMOVE).nfs_argop4_u.opremove.target = borrow(name);
  return *this;
}

Nfs4Compound& Nfs4Compound::rename(const std::string& from, const std::string& to) {
  RENAME4args& arguments = add(OP_RENAME).nfs_argop4_u.oprename;
  arguments.oldname = borrow(from);
  arguments.newname = borrow(to);
  return *this;
}

Nfs4Compound& Nfs4Compound::link(const std::string& name) {
  add(OP_LINK).nfs_argop4_u.oplink.newname = borrow(name);
  return *this;
}

Nfs4Results::Nfs4Results(XdrReader& reader) : reader_(reader) {
  reader_.opaque(kMaxTag);
  reader_.u32();  // how many results: each is expected by name
}

void Nfs4Results::expect(nfs_opnum4 operation) {
  bool good = reader_.u32() == static_cast<uint32_t>(operation);
  if (reader_.u32() != NFS4_OK || !good) reader_.fail();
}

NfsHandle Nfs4Results::handle() {
  NfsHandle handle;
  Bytes bytes = reader_.opaque(NfsHandle::kMaxSize);
  if (bytes.empty()) reader_.fail();
  handle.size = static_cast<uint32_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(handle.bytes.data()));
  return handle;
}

stateid4 Nfs4Results::state() {
  stateid4 state{};
  state.seqid = reader_.u32();
  Bytes other = reader_.fixed(sizeof(state.other));
  if (!other.empty()) std::memcpy(state.other, other.data(), other.size());
  return state;
}

NfsVerifier Nfs4Results::verifier() {
  NfsVerifier verifier{};
  Bytes bytes = reader_.fixed(verifier.size());
  std::copy(bytes.begin(), bytes.end(), verifier.begin());
  return verifier;
}

void Nfs4Results::skip_bitmap() {
  uint32_t words = reader_.u32();
  if (words > kMaxBitmapWords) reader_.fail();
  reader_.fixed(reader_.ok() ? size_t{words} * 4 : 0);
}

void Nfs4Results::attributes(std::initializer_list<Attribute*> wanted) {
  uint32_t words = reader_.u32();
  if (words > kMaxBitmapWords) reader_.fail();
  std::array<uint32_t, kMaxBitmapWords> mask{};
  for (uint32_t i = 0; i < words && reader_.ok(); i++) mask[i] = reader_.u32();
  XdrReader values(reader_.opaque(kMaxAttributes));
  for (Attribute* attribute : wanted) {
    uint32_t bit = 1U << attribute->number % 32;
    if ((mask[attribute->number / 32] & bit) == 0) continue;
    attribute->value = attribute->size == 8 ? values.u64() : values.u32();
    attribute->there = true;
  }
  if (!values.ok()) reader_.fail();
}

uint32_t Nfs4Results::open_flags() {
  skip_change();
  uint32_t flags = reader_.u32();
  skip_bitmap();
  skip_delegation();
  return flags;
}

// We offer no way to be called back, so there should be none.
void Nfs4Results::skip_delegation() {
  constexpr size_t kStateSize = 16;
  constexpr size_t kRightsSize = 12;
  constexpr size_t kLimitSize = 12;
  uint32_t kind = reader_.u32();
  if (kind == OPEN_DELEGATE_NONE) return;
  if (kind != OPEN_DELEGATE_READ && kind != OPEN_DELEGATE_WRITE) return reader_.fail();
  reader_.fixed(kStateSize + 4);
  if (kind == OPEN_DELEGATE_WRITE) reader_.fixed(kLimitSize);
  reader_.fixed(kRightsSize);
  reader_.opaque(kMaxName);
}

}  // namespace dw
