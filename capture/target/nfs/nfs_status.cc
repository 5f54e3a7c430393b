#include "capture/target/nfs/nfs_status.h"

#include <errno.h>
#include <nfsc/libnfs-zdr.h>
// After libnfs-zdr.h.
#include <nfsc/libnfs-raw-nfs4.h>

#include <algorithm>
#include <iterator>

namespace dw {

namespace {

struct Meaning {
  uint32_t status;
  int errno_value;
};

constexpr Meaning kMeanings[] = {
    {NFS4ERR_PERM, EPERM},
    {NFS4ERR_NOENT, ENOENT},
    {NFS4ERR_IO, EIO},
    {NFS4ERR_NXIO, ENXIO},
    {NFS4ERR_ACCESS, EACCES},
    {NFS4ERR_EXIST, EEXIST},
    {NFS4ERR_XDEV, EXDEV},
    {19, ENODEV},
    {NFS4ERR_NOTDIR, ENOTDIR},
    {NFS4ERR_ISDIR, EISDIR},
    {NFS4ERR_INVAL, EINVAL},
    {NFS4ERR_FBIG, EFBIG},
    {NFS4ERR_NOSPC, ENOSPC},
    {NFS4ERR_ROFS, EROFS},
    {NFS4ERR_MLINK, EMLINK},
    {NFS4ERR_NAMETOOLONG, ENAMETOOLONG},
    {NFS4ERR_NOTEMPTY, ENOTEMPTY},
    {NFS4ERR_DQUOT, EDQUOT},
    {NFS4ERR_STALE, ESTALE},
    {NFS4ERR_BADHANDLE, ESTALE},
    {NFS4ERR_NOTSUPP, EOPNOTSUPP},
    {NFS4ERR_SERVERFAULT, EREMOTEIO},
    {NFS4ERR_DELAY, EAGAIN},
    {NFS4ERR_SAME, EISDIR},
    {NFS4ERR_NOT_SAME, ENOTDIR},
    {NFS4ERR_DENIED, EACCES},
    {NFS4ERR_LOCKED, EACCES},
    {NFS4ERR_GRACE, EAGAIN},
    {NFS4ERR_SHARE_DENIED, EBUSY},
    {NFS4ERR_WRONGSEC, EACCES},
    {NFS4ERR_SYMLINK, ELOOP},
    {NFS4ERR_BADNAME, EINVAL},
    {NFS4ERR_BADCHAR, EINVAL},
    {NFS4ERR_FILE_OPEN, EBUSY},
};

constexpr uint32_t kLost[] = {
    NFS4ERR_STALE,          NFS4ERR_BADHANDLE,     NFS4ERR_FHEXPIRED,   NFS4ERR_EXPIRED,
    NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, NFS4ERR_OLD_STATEID, NFS4ERR_BAD_STATEID,
    NFS4ERR_BAD_SEQID,      NFS4ERR_LEASE_MOVED,   NFS4ERR_MOVED,       NFS4ERR_ADMIN_REVOKED,
    NFS4ERR_CLID_INUSE,     NFS4ERR_RESOURCE,
};

const char* hint_for(uint32_t status) {
  switch (status) {
    case NFS4ERR_PERM:
    case NFS4ERR_ACCESS:
      return "the directory on the server must be writable for the user that uid= and gid= name, "
             "by "
             "default root, whom many servers take for nobody (no_root_squash)";
    case NFS4ERR_ROFS:
      return "the server exports it only to be read";
    case NFS4ERR_WRONGSEC:
      return "the server must allow sec=sys";
    default:
      return nullptr;
  }
}

}  // namespace

bool nfs_needs_time(uint32_t status) { return status == NFS4ERR_DELAY || status == NFS4ERR_GRACE; }

bool nfs_is_lost(uint32_t status) {
  return std::find(std::begin(kLost), std::end(kLost), status) != std::end(kLost);
}

Error nfs_error(const char* what, uint32_t status) {
  if (nfs_is_lost(status))
    return Error(ErrorKind::kLost, "the server forgot what it gave us").because(ESTALE);
  if (nfs_needs_time(status))
    return {ErrorKind::kTimeout, "the server asks for more time than it has"};
  if (status == NFS4ERR_MINOR_VERS_MISMATCH)
    return Error(ErrorKind::kUnsupported, "the server does not speak NFSv4.0")
        .hint("try version=3");
  const auto* found =
      std::find_if(std::begin(kMeanings), std::end(kMeanings),
                   [&](const Meaning& meaning) { return meaning.status == status; });
  Error error = Error::from_errno(what, found == std::end(kMeanings) ? EIO : found->errno_value);
  if (const char* hint = hint_for(status)) error.hint(hint);
  return error;
}

}  // namespace dw
