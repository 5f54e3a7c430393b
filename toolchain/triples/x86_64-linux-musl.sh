# The executable that ships: static, against musl. See README.md, "Another triple".
# shellcheck shell=bash disable=SC2034

# Debian's name for the compiler and binutils that make code for this processor.
gnu_triple=x86_64-linux-gnu

# What the compiler's built-in rules for this processor add in cc1 (gcc -dumpspecs).
cc1_cpu='%(cc1_cpu)'

uses_musl=yes

# Built in this order; libstdcxx stands for the source of the compiler that is found.
packages=(musl libstdcxx libzstd lz4 libdeflate xxhash libgpg-error
  libgcrypt20 libssh libnfs mimalloc doctest)
