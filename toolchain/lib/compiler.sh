# The compiler: the host's own, or a wrapper around it that compiles against musl.
# Sourced by build.
# shellcheck shell=bash disable=SC2154

# Sets compiler_major: the default g++ for the target, if the lock pins libstdc++'s
# source for it, else the newest installed one for which it does. The package name
# libstdcxx becomes the name of that source.
find_compiler() {
  local major default
  default=$("$gnu_triple-g++" -dumpversion 2>/dev/null || true)
  for major in ${default%%.*} 14 12; do
    if command -v "$gnu_triple-g++-$major" >/dev/null && [ -n "$(lock_lines "gcc-$major-source")" ]; then
      compiler_major=$major
      packages=("${packages[@]/#libstdcxx/gcc-$major-source}")
      return
    fi
  done
  die "no $gnu_triple-g++ for which sources.lock pins libstdc++ (Debian 12 has g++ 12, Debian 13 g++ 14)" \
    "run toolchain/install-packages"
}

# Everything of the host that shapes the prefix, for the hash of its inputs.
describe_host() {
  "$gnu_triple-gcc-$compiler_major" --version | head -n 1
  "$gnu_triple-ld" --version | head -n 1
  [ "$uses_musl" = no ] || cat "$(kernel_headers)/linux/version.h"
}

# Where the kernel's headers of the target are: native or cross package.
kernel_headers() {
  if [ -d "/usr/$gnu_triple/include/linux" ]; then
    echo "/usr/$gnu_triple/include"
  else
    echo /usr/include
  fi
}

# musl has no linux/, asm/ and asm-generic/. A copy, so that the prefix stays as it was built.
install_kernel_headers() {
  local from asm
  from=$(kernel_headers)
  asm=$from/asm
  [ -d "$asm" ] || asm=$from/$gnu_triple/asm
  mkdir -p "$stage/kernel"
  cp -rL "$from/linux" "$from/asm-generic" "$asm" "$stage/kernel/"
}

# Writes the wrapper $1 around compiler $2 with more flags $3.
write_wrapper() {
  sed -e "s|@NAME@|$1|; s|@COMPILER@|$2|; s|@FLAGS@|$3|" "$toolchain_dir/musl/wrapper.in" >"$stage/bin/$1"
  chmod 755 "$stage/bin/$1"
}

install_wrappers() {
  local cxx="\"\$DUMPWRIGHT_TOOLCHAIN/include/c++/$compiler_major" tool
  sed -e '/^#/d' -e "s|@CC1_CPU@|$cc1_cpu|" "$toolchain_dir/musl/specs.in" >"$stage/lib/musl.specs"
  write_wrapper "$triple-gcc" "$gnu_triple-gcc-$compiler_major" ''
  write_wrapper "$triple-g++" "$gnu_triple-g++-$compiler_major" \
    "-nostdinc++ -isystem $cxx\" -isystem $cxx/$triple\" -isystem $cxx/backward\""
  for tool in ar ranlib nm strip objcopy objdump ld as; do
    ln -s "$(command -v "$gnu_triple-$tool")" "$stage/bin/$triple-$tool"
  done
  for tool in ar ranlib nm; do
    ln -s "$(command -v "$gnu_triple-gcc-$tool-$compiler_major")" "$stage/bin/$triple-gcc-$tool"
  done
}

# Needs musl's headers, so it comes after musl and before everything that links.
install_unwind_support() {
  # shellcheck disable=SC2086
  "$CC" -O2 $cflags -c "$toolchain_dir/musl/unwind_support.c" -o "$work/unwind_support.o"
  "$AR" rcs "$stage/lib/libunwind_support.a" "$work/unwind_support.o"
}

# Sets the tools that the recipes use.
set_tools() {
  host_cc=$gnu_triple-gcc-$compiler_major
  AR=$gnu_triple-gcc-ar-$compiler_major RANLIB=$gnu_triple-gcc-ranlib-$compiler_major
  CC=$host_cc CXX=$gnu_triple-g++-$compiler_major
  if [ "$uses_musl" = yes ]; then
    PATH=$stage/bin:$PATH
    CC=$stage/bin/$triple-gcc CXX=$stage/bin/$triple-g++
    AR=$stage/bin/$triple-gcc-ar RANLIB=$stage/bin/$triple-gcc-ranlib
  fi
  export PATH CC CXX AR RANLIB
}
