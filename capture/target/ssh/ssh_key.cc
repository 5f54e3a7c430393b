#include "capture/target/ssh/ssh_key.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "capture/base/fd.h"

#ifdef __SANITIZE_ADDRESS__
// libgcrypt keeps its source of randomness until the end, known only from its locked memory, where
// the sanitizer does not look.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:jent_entropy_collector_alloc\n";
}
#endif

namespace dw {

namespace {

constexpr off_t kMostKeyBytes = 64 << 10;

Error key_error(const std::string& path, const char* what, const char* hint) {
  return Error(ErrorKind::kUsage, what).on(path).hint(hint);
}

// As ssh does: a key that others can read is no secret.
Status check_file(const std::string& path) {
  Result<Fd> fd = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd.ok())
    return key_error(path, "cannot read the SSH key", "set ssh_key to the file of a private key")
        .because(fd.error().errno_value());
  struct stat file {};
  if (::fstat(fd->get(), &file) != 0)
    return Error::from_errno("cannot look at the SSH key").on(path);
  if (!S_ISREG(file.st_mode) || file.st_size > kMostKeyBytes)
    return key_error(path, "this is not a private SSH key", "set ssh_key to another file");
  if ((file.st_mode & 077) != 0)
    return key_error(path, "others than the owner have access to the SSH key", "chmod 600 it");
  return {};
}

// libssh asks only if there is one.
int note_passphrase(const char*, char*, size_t, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return SSH_ERROR;
}

bool is_usable(ssh_keytypes_e type) {
  return type == SSH_KEYTYPE_ED25519 || type == SSH_KEYTYPE_RSA || type == SSH_KEYTYPE_ECDSA_P256 ||
         type == SSH_KEYTYPE_ECDSA_P384 || type == SSH_KEYTYPE_ECDSA_P521;
}

struct StringDeleter {
  void operator()(char* text) const { ::ssh_string_free_char(text); }
};

}  // namespace

Status prepare_libssh() {
  static const bool ready = ::ssh_init() == SSH_OK;
  if (!ready) return Error(ErrorKind::kNoMemory, "cannot start libssh");
  return {};
}

Result<SshKey> load_private_key(const std::string& path) {
  DW_TRY(check_file(path));
  bool has_passphrase = false;
  ssh_key raw = nullptr;
  int code =
      ::ssh_pki_import_privkey_file(path.c_str(), nullptr, note_passphrase, &has_passphrase, &raw);
  SshKey key(raw);
  if (has_passphrase)
    return key_error(path, "the SSH key has a passphrase, which nobody can type in a crash",
                     "make a key without one: ssh-keygen -t ed25519 -N ''");
  if (code != SSH_OK || key == nullptr)
    return key_error(path, "this is not a private SSH key", "set ssh_key to another file");
  if (!is_usable(::ssh_key_type(key.get())))
    return key_error(path, "this kind of SSH key is not supported", "use ed25519, ecdsa or rsa");
  return key;
}

std::string fingerprint_of(ssh_key key) {
  unsigned char* hash = nullptr;
  size_t size = 0;
  const char* type = ::ssh_key_type_to_char(::ssh_key_type(key));
  std::string text = type != nullptr ? type : "unknown";
  if (::ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) return text;
  std::unique_ptr<char, StringDeleter> print(
      ::ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size));
  ::ssh_clean_pubkey_hash(&hash);
  return print == nullptr ? text : text + " " + print.get();
}

}  // namespace dw
