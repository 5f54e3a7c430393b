// Uses every library that the executable links, the way a dump uses them, so that
// the linker keeps what it would keep there. Without arguments it only starts each
// one: no server is needed. toolchain/sizes weighs this program.
#include <fcntl.h>
#include <libdeflate.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <lz4.h>
#include <lz4frame.h>
#include <nfsc/libnfs.h>
#include <xxhash.h>
#include <zstd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using Bytes = std::vector<char>;

static bool use_codecs(const Bytes& page) {
  Bytes out(4 * page.size()), back(page.size());
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
  size_t size = ZSTD_compress2(zstd, out.data(), out.size(), page.data(), page.size());
  ZSTD_freeCCtx(zstd);
  bool good = ZSTD_decompress(back.data(), back.size(), out.data(), size) == page.size() && back == page;

  const int length = static_cast<int>(page.size());
  const int lz4 = LZ4_compress_default(page.data(), out.data(), length, static_cast<int>(out.size()));
  good &= LZ4_decompress_safe(out.data(), back.data(), lz4, length) == length;
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  good &= !LZ4F_isError(LZ4F_compressFrame(out.data(), out.size(), page.data(), page.size(), &preferences));
  LZ4F_dctx* frame = nullptr;
  LZ4F_createDecompressionContext(&frame, LZ4F_VERSION);
  size_t produced = back.size(), consumed = out.size();
  good &= !LZ4F_isError(LZ4F_decompress(frame, back.data(), &produced, out.data(), &consumed, nullptr));
  LZ4F_freeDecompressionContext(frame);

  libdeflate_compressor* deflate = libdeflate_alloc_compressor(1);
  size = libdeflate_zlib_compress(deflate, page.data(), page.size(), out.data(), out.size());
  libdeflate_free_compressor(deflate);
  libdeflate_decompressor* inflate = libdeflate_alloc_decompressor();
  good &= libdeflate_zlib_decompress(inflate, out.data(), size, back.data(), back.size(), nullptr) == LIBDEFLATE_SUCCESS;
  libdeflate_free_decompressor(inflate);
  return good && back == page && XXH3_64bits(page.data(), page.size()) == XXH3_64bits(back.data(), back.size());
}

static int fail(ssh_session session, const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
  return 1;
}

// Copies `data` to `path` by SFTP, as user and with the key that `key_file` holds.
static int send_by_ssh(ssh_session session, const char* host, const char* key_file, const char* path, const Bytes& data) {
  const int no_delay = 1;
  ssh_options_set(session, SSH_OPTIONS_HOST, host);
  ssh_options_set(session, SSH_OPTIONS_NODELAY, &no_delay);
  if (ssh_connect(session) != SSH_OK) return fail(session, "connect");
  if (ssh_session_is_known_server(session) != SSH_KNOWN_HOSTS_OK) return fail(session, "known hosts");
  ssh_key key = nullptr;
  if (ssh_pki_import_privkey_file(key_file, nullptr, nullptr, nullptr, &key) != SSH_OK) return fail(session, "key");
  if (ssh_userauth_publickey(session, nullptr, key) != SSH_AUTH_SUCCESS) return fail(session, "login");
  sftp_session sftp = sftp_new(session);
  if (sftp == nullptr || sftp_init(sftp) != SSH_OK) return fail(session, "sftp");
  sftp_file file = sftp_open(sftp, path, O_WRONLY | O_CREAT, 0600);
  if (file == nullptr) return fail(session, "open");
  sftp_aio write = nullptr;
  if (sftp_aio_begin_write(file, data.data(), data.size(), &write) < 0) return fail(session, "write");
  if (sftp_aio_wait_write(&write) < 0 || sftp_fsync(file) < 0) return fail(session, "sync");
  sftp_close(file);
  sftp_rename(sftp, path, path);
  sftp_free(sftp);
  return 0;
}

static int send_by_nfs(nfs_context* nfs, const char* server, const char* path, Bytes data) {
  nfsfh* file = nullptr;
  if (nfs_mount(nfs, server, "/") != 0 || nfs_open2(nfs, path, O_RDWR | O_CREAT, 0600, &file) != 0 ||
      nfs_pwrite(nfs, file, 0, data.size(), data.data()) < 0 || nfs_fsync(nfs, file) != 0 ||
      nfs_pread(nfs, file, 0, data.size(), data.data()) < 0 || nfs_rename(nfs, path, path) != 0) {
    std::fprintf(stderr, "nfs: %s\n", nfs_get_error(nfs));
    return 1;
  }
  return nfs_close(nfs, file);
}

int main(int argc, char** argv) {
  const Bytes page(4096, 'p');
  bool good = false;
  std::thread([&] { good = use_codecs(page); }).join();
  std::printf("codecs %s\n", good ? "ok" : "FAILED");

  // ssh_init starts libgcrypt, which tests itself: a cipher left out shows here.
  const bool started = ssh_init() == 0;
  ssh_session session = ssh_new();
  nfs_context* nfs = nfs_init_context();
  std::printf("libssh %s %s\n", ssh_version(0), started && session != nullptr ? "ok" : "FAILED");
  std::printf("libnfs %s\n", nfs != nullptr && nfs_set_version(nfs, 4) == 0 ? "ok" : "FAILED");
  good = good && started && session != nullptr && nfs != nullptr;

  int status = good ? 0 : 1;
  if (argc == 5 && std::strcmp(argv[1], "ssh") == 0) status |= send_by_ssh(session, argv[2], argv[3], argv[4], page);
  if (argc == 4 && std::strcmp(argv[1], "nfs") == 0) status |= send_by_nfs(nfs, argv[2], argv[3], page);
  if (nfs != nullptr) nfs_destroy_context(nfs);
  ssh_free(session);
  ssh_finalize();
  return status;
}
