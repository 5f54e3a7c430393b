# libgcrypt's error codes and portability layer.
# shellcheck shell=bash disable=SC2154
build_package() {
  run_configure --disable-nls --disable-doc --disable-tests --disable-languages
  make -j"$jobs"
  make install DESTDIR="$stage"
}
