# NFS versions 3 and 4 in the program itself: no mount, no kernel module.
# shellcheck shell=bash disable=SC2154
build_package() {
  run_cmake -DCMAKE_C_FLAGS="-O2 $cflags" -DENABLE_TESTS=OFF -DENABLE_DOCUMENTATION=OFF \
    -DENABLE_UTILS=OFF -DENABLE_EXAMPLES=OFF
}
