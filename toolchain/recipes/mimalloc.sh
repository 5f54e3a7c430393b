# One object that defines malloc, free and the C++ operators new and delete.
# musl's own malloc has one lock for all threads. local-exec: the object is only
# ever linked into a static program, where thread-local variables have fixed places.
# shellcheck shell=bash disable=SC2154
build_package() {
  # shellcheck disable=SC2086
  $CC -O2 $cflags -DNDEBUG -DMI_MALLOC_OVERRIDE=1 -Iinclude -ftls-model=local-exec -fno-builtin-malloc \
    -c src/static.c -o mimalloc.o
  "$AR" rcs "$stage/lib/libmimalloc.a" mimalloc.o
  install -m 644 -t "$stage/include" include/mimalloc.h
}
