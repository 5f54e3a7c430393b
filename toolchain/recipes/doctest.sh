# One header, for the unit tests.
# shellcheck shell=bash disable=SC2154
build_package() {
  install -D -m 644 -t "$stage/include/doctest" doctest/doctest.h
}
