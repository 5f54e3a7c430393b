# Block and frame format, and the high compression levels.
# shellcheck shell=bash disable=SC2154
build_package() {
  make -C lib -j"$jobs" liblz4.a BUILD_SHARED=no CFLAGS="-O3 $cflags" CC="$CC" AR="$AR"
  install -m 644 -t "$stage/lib" lib/liblz4.a
  install -m 644 -t "$stage/include" lib/lz4.h lib/lz4hc.h lib/lz4frame.h
}
