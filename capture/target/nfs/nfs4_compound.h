// The operations of one call of NFSv4, in order, and what the server says to them.
//
// Thread safety: none. Ownership: a compound borrows names and handles until it was submitted.
#pragma once

#include <nfsc/libnfs-zdr.h>
// After libnfs-zdr.h.
#include <nfsc/libnfs-raw-nfs4.h>

#include <array>
#include <initializer_list>
#include <string>

#include "capture/target/nfs/nfs_protocol.h"

namespace dw {

// A set of attributes by their numbers.
struct Nfs4Mask {
  std::array<uint32_t, 2> words{};
  Nfs4Mask(std::initializer_list<uint32_t> attributes);
};

class Nfs4Compound {
 public:
  static constexpr size_t kMaxOperations = 16;

  Nfs4Compound& root();
  Nfs4Compound& handle(const NfsHandle& handle);
  Nfs4Compound& save();
  Nfs4Compound& get_handle();
  Nfs4Compound& look_up(const std::string& name);
  Nfs4Compound& get_attributes(const Nfs4Mask& mask);
  // Stops with NFS4ERR_SAME or NFS4ERR_NOT_SAME.
  Nfs4Compound& unless_directory();
  Nfs4Compound& if_directory();
  Nfs4Compound& make_directory(const std::string& name, uint32_t mode);
  Nfs4Compound& set_size(const stateid4& state, uint64_t size);
  Nfs4Compound& remove(const std::string& name);
  Nfs4Compound& rename(const std::string& from, const std::string& to);
  Nfs4Compound& link(const std::string& name);
  // Any other.
  nfs_argop4& add(nfs_opnum4 operation);
  // createattrs for OPEN, until the compound was submitted.
  fattr4 with_mode(uint32_t mode);

  // It stays as it is until this object changes.
  NfsCall call();

 private:
  struct Attributes {
    Nfs4Mask mask{};
    std::array<char, 8> values{};
  };
  fattr4 attributes(const Nfs4Mask& mask, uint64_t value, uint32_t size);
  Nfs4Compound& verify(nfs_opnum4 operation);

  std::array<nfs_argop4, kMaxOperations> operations_{};
  size_t count_ = 0;
  std::array<Attributes, 2> attributes_;
  size_t attribute_count_ = 0;
  COMPOUND4args arguments_{};
};

// Reads results behind the status of the whole, which is 0. In the order of the operations; one
// that is not what is expected makes the reader fail.
class Nfs4Results {
 public:
  explicit Nfs4Results(XdrReader& reader);

  // The header of an operation's result.
  void expect(nfs_opnum4 operation);
  void expect(std::initializer_list<nfs_opnum4> operations) {
    for (nfs_opnum4 operation : operations) expect(operation);
  }
  NfsHandle handle();
  stateid4 state();
  // Attributes of 4 and 8 bytes, in the order of their numbers; 0 where the server gives none.
  struct Attribute {
    uint32_t number;
    uint32_t size;
    uint64_t value = 0;
    bool there = false;
  };
  void attributes(std::initializer_list<Attribute*> wanted);
  void skip_change() { reader_.fixed(20); }
  void skip_bitmap();
  NfsVerifier verifier();
  // What OPEN says behind the state: flags are returned.
  uint32_t open_flags();

 private:
  void skip_delegation();

  XdrReader& reader_;
};

}  // namespace dw
