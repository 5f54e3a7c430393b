# The machine's own compiler and C library, for the development and sanitizer
# presets: the same codecs as in the executable that ships, so that every preset
# compresses to the same bytes.
# shellcheck shell=bash disable=SC2034

gnu_triple=$(uname -m)-linux-gnu
uses_musl=no
packages=(libzstd lz4 libdeflate xxhash libgpg-error libgcrypt20 libssh libnfs doctest)
