# libstdc++ of the release of the compiler that is used, built against musl.
# shellcheck shell=bash disable=SC2154

# The package holds the whole compiler in an archive; a small part is needed.
unpack_package() {
  local folder=usr/src/gcc-$compiler_major
  dpkg-deb --fsys-tarfile "$1" | tar -x --wildcards "./$folder/gcc-*.tar.xz"
  tar --strip-components=1 --wildcards -xf "$folder"/gcc-*.tar.xz \
    --exclude='gcc-*/libstdc++-v3/testsuite/*/*' --exclude='gcc-*/libstdc++-v3/doc/html/*' \
    'gcc-*/libstdc++-v3' 'gcc-*/libgcc' 'gcc-*/libbacktrace' 'gcc-*/libiberty' 'gcc-*/include' \
    'gcc-*/config*' 'gcc-*/lt*' 'gcc-*/install-sh' 'gcc-*/mkinstalldirs' 'gcc-*/missing' 'gcc-*/depcomp' \
    'gcc-*/move-if-change' 'gcc-*/compile' 'gcc-*/gcc/BASE-VER' 'gcc-*/gcc/DATESTAMP' 'gcc-*/gcc/DEV-PHASE'
  rm -r usr
  dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/share/doc/gcc-$compiler_major-source/copyright" >COPYING
}

configure_libstdcxx() {
  ../libstdc++-v3/configure --build="$(../config.guess)" --host="$triple" --target="$triple" --prefix=/ \
    --libdir=/lib --with-gxx-include-dir="/include/c++/$compiler_major" \
    --disable-multilib --disable-shared --enable-static --disable-nls \
    --enable-clocale=generic --disable-libstdcxx-pch --disable-libstdcxx-verbose --enable-libstdcxx-filesystem-ts=no \
    --enable-libstdcxx-threads --enable-tls --disable-libstdcxx-debug --disable-werror --disable-cet \
    --with-libstdcxx-zoneinfo=no CC="$CC" CXX="$CXX" CFLAGS="-O2 $cflags" CXXFLAGS="-O2 $cflags"
}

build_package() {
  mkdir -p object libgcc
  # libgcc's build makes this link. Without it configure finds no threads, and
  # libstdc++ is built without std::mutex and std::thread, and without a word.
  ln -sf gthr-posix.h libgcc/gthr-default.h
  cd object || return
  configure_libstdcxx
  grep -q 'define _GLIBCXX_HAS_GTHREADS 1' config.h || { echo 'libstdc++ was configured without threads'; return 1; }
  make -j"$jobs"
  make install DESTDIR="$stage"
  # Whatever the host's rules for lib64 are, the wrapper looks in lib.
  find "$stage" -name 'lib*c++*.a' ! -path "$stage/lib/*" -exec mv -t "$stage/lib" {} +
  rm -f "$stage"/lib*/*.py
}
