# libssh's cryptography, trimmed to what SSH uses. Ciphers, digests and key types
# that libssh asks for but that are left out here make the link or ssh_init fail,
# and toolchain/test notices.
# shellcheck shell=bash disable=SC2154

# Stands in for gpg-error-config. The musl compiler searches the prefix by itself; the host's would
# find the system's own library instead.
write_gpg_error_config() {
  local include="" search=""
  if [ "$uses_musl" != yes ]; then
    include=-I$stage/include
    search=-L$stage/lib
  fi
  cat >gpg-error-config <<EOF
#!/bin/sh
case " \$* " in
  *" --version "*) echo $(version_of libgpg-error | sed 's/-.*//') ;;
  *" --libs "*) echo $search -lgpg-error ;;
  *" --cflags "*) echo $include ;;
  *) echo ;;
esac
EOF
  chmod +x gpg-error-config
}

build_package() {
  write_gpg_error_config
  run_configure --disable-doc --disable-padlock-support \
    --enable-ciphers=aes:des:chacha20 --enable-digests=sha1:sha256:sha512:md5:sha3:blake2 \
    --enable-pubkey-ciphers=rsa:ecc --enable-kdfs=pkdf2:scrypt \
    ac_cv_path_GPGRT_CONFIG=no ac_cv_path_GPG_ERROR_CONFIG="$PWD/gpg-error-config"
  # The libraries alone: the tests and programs take longer than they do.
  local folder
  for folder in compat mpi cipher random src; do
    make -C "$folder" -j"$jobs"
  done
  make -C src install DESTDIR="$stage"
}
