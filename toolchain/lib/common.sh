# Messages, folders and the lock file. Sourced by every script of this folder.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
export LC_ALL=C

toolchain_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock_file=$toolchain_dir/sources.lock
cache_root=${DUMPWRIGHT_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME or DUMPWRIGHT_CACHE must be set}/.cache}/dumpwright}
case $cache_root in /*) ;; *) cache_root=$PWD/$cache_root ;; esac
source_cache=$cache_root/sources

say() { printf 'toolchain: %s\n' "$*" >&2; }

die() {
  local line
  for line; do say "$line"; done
  exit 1
}

# The folder $1 without reference to the current one; nothing for nothing.
absolute_folder() {
  [ -n "$1" ] || return 0
  (cd "$1" 2>/dev/null && pwd) || die "no such folder: $1"
}

# Waits for the lock file $1; it is held until this process and its children end.
lock_or_wait() {
  mkdir -p "$(dirname "$1")"
  exec {lock_fd}>"$1"
  flock --nonblock "$lock_fd" && return
  say "waiting for another run that holds $1"
  flock "$lock_fd"
}

# The lock's lines without comments, of the packages named, or all of them.
lock_lines() {
  local package rest
  while read -r package rest; do
    case $package in '' | '#'*) continue ;; esac
    if [ $# = 0 ] || [[ " $* " == *" $package "* ]]; then
      printf '%s %s\n' "$package" "$rest"
    fi
  done <"$lock_file"
}

# The pinned version of package $1.
version_of() {
  local package version _
  read -r package version _ < <(lock_lines "$1") || die "sources.lock has no package $1"
  printf '%s\n' "$version"
}

# Loads triples/$1.sh, which sets gnu_triple, uses_musl and packages.
load_triple() {
  triple=$1
  [ -f "$toolchain_dir/triples/$triple.sh" ] ||
    die "unknown triple: $triple" "known: $(cd "$toolchain_dir/triples" && echo *.sh | sed 's/\.sh//g')"
  # shellcheck source=/dev/null
  . "$toolchain_dir/triples/$triple.sh"
}
