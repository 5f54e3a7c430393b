# XXH64 and XXH3. On x86-64 also xxh_x86dispatch, which chooses AVX2 or AVX-512 at
# run time; the linker drops it from a program that does not include its header.
# shellcheck shell=bash disable=SC2154
build_package() {
  local dispatch=0
  case $gnu_triple in x86_64-*) dispatch=1 ;; esac
  make -j"$jobs" libxxhash.a LIBXXH_DISPATCH=$dispatch CFLAGS="-O3 $cflags" CC="$CC" AR="$AR"
  install -m 644 -t "$stage/lib" libxxhash.a
  install -m 644 -t "$stage/include" xxhash.h xxh3.h
  [ $dispatch = 0 ] || install -m 644 -t "$stage/include" xxh_x86dispatch.h
}
