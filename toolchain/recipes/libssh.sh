# The client half of SSH and SFTP.
# shellcheck shell=bash disable=SC2154
build_package() {
  # libgcrypt's old interfaces are marked deprecated, which makes this probe fail.
  sed -i '/Werror=unused-variable/d' CompilerChecks.cmake
  run_cmake -DCMAKE_C_FLAGS="-O2 $cflags" -DWITH_GCRYPT=ON -DWITH_SFTP=ON -DWITH_SERVER=OFF -DWITH_ZLIB=OFF \
    -DWITH_GSSAPI=OFF -DWITH_NACL=OFF -DWITH_PCAP=OFF -DWITH_EXAMPLES=OFF -DUNIT_TESTING=OFF \
    -DWITH_DEBUG_CALLTRACE=OFF -DWITH_STACK_PROTECTOR=OFF -DWITH_STACK_PROTECTOR_STRONG=OFF \
    -DWITH_STACK_CLASH_PROTECTION=OFF -DWITH_HARDENING=OFF
}
