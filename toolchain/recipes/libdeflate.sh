# zlib's format, without the gzip program.
# shellcheck shell=bash disable=SC2154
build_package() {
  run_cmake -DCMAKE_C_FLAGS="-O2 $cflags" -DLIBDEFLATE_BUILD_SHARED_LIB=OFF -DLIBDEFLATE_BUILD_GZIP=OFF
}
