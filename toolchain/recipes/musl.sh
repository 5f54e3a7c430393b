# The C library. Without -O in CFLAGS its configure chooses: speed for malloc and
# string, size for the rest.
# shellcheck shell=bash disable=SC2154
build_package() {
  # The host's plain compiler: the wrapper's start files are what is built here.
  ./configure --target="$triple" --prefix=/ --disable-shared --enable-wrapper=no \
    CC="$host_cc" AR="$AR" RANLIB="$RANLIB" CFLAGS="$cflags"
  make -j"$jobs"
  make install DESTDIR="$stage"
}
