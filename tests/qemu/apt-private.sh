# Library for the scripts in this folder: apt with a private configuration. Source it.
#
# The machine's mirrors are taken from its own apt configuration and other suites are added beside them.
# Every list, package file and setting lives under the cache folder: nothing in /etc/apt or /var/lib/apt changes.

CACHE_DIR=${DUMPWRIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dumpwright}

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# mirror_uri SUITE: where this machine gets SUITE of its own release from (bookworm, bookworm-security, ...).
mirror_uri() {
  apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$1" '$1 == suite { print $2; exit }'
}

# suite_sources SUITE...: sources.list lines for the suites, from this machine's own mirrors.
suite_sources() {
  local own uri suite
  own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  for suite in "$@"; do
    case $suite in
      *-security) uri=$(mirror_uri "$own-security") ;;
      *) uri=$(mirror_uri "$own") ;;
    esac
    case $uri:$suite in
      :*-security)
        printf '%s: no security mirror is configured here; %s is left out\n' "${0##*/}" "$suite" >&2
        continue
        ;;
    esac
    [ -n "$uri" ] ||
      die "apt on this machine has no source for '$own' to derive a mirror of '$suite' from; see 'apt-get indextargets'"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$uri" "$suite"
  done
}

# private_apt_options ROOT STATUS: fills APT with the options that make apt-get and apt-cache work inside ROOT.
# Old suites have no fresh Release file any more, so its expiry is not checked; signatures are.
private_apt_options() {
  local root=$1 status=$2
  mkdir -p "$root"/{lists/partial,archives/partial,parts}
  APT=(-o "Dir::Etc::SourceList=$root/sources.list" -o "Dir::Etc::SourceParts=$root/parts"
    -o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=$root/parts"
    -o "Dir::State::Lists=$root/lists" -o "Dir::State::Status=$status"
    -o "Dir::Cache::Archives=$root/archives" -o "Dir::Cache::pkgcache=$root/pkgcache.bin"
    -o "Dir::Cache::srcpkgcache=$root/srcpkgcache.bin" -o "APT::Sandbox::User=root"
    -o "Acquire::Check-Valid-Until=false" -o "Acquire::Languages=none" -o "Acquire::Retries=2"
    -o "Acquire::http::Timeout=30" -o "APT::Get::List-Cleanup=false" -q)
}

# private_apt_update NAME SUITE...: a private apt that sees only the given suites; lists younger than a day are kept.
private_apt_update() {
  local root=$CACHE_DIR/apt/$1 log
  shift
  mkdir -p "$root"
  : >"$root/status"
  private_apt_options "$root" "$root/status"
  suite_sources "$@" >"$root/sources.list.new"
  if cmp -s "$root/sources.list.new" "$root/sources.list" && [ -n "$(find "$root/updated" -mmin -1440 2>/dev/null)" ]; then
    return 0
  fi
  mv "$root/sources.list.new" "$root/sources.list"
  # Without --error-on a mirror that cannot be reached is only a warning.
  log=$(apt-get "${APT[@]}" --error-on=any update 2>&1) || die "cannot read the package lists of: $* (no network?)
$(tail -n 5 <<<"$log")"
  : >"$root/updated"
}

# newest_version PACKAGE: its newest version in the private apt, or nothing.
newest_version() {
  apt-cache "${APT[@]}" madison "$1" 2>/dev/null | awk -F'|' 'NR == 1 { gsub(/ /, "", $2); print $2 }'
}

# download_packages DIR PACKAGE...: fetches the .deb files into DIR, checked against the signed lists.
download_packages() {
  local dir=$1 log
  shift
  mkdir -p "$dir"
  log=$(cd "$dir" && apt-get "${APT[@]}" download "$@" 2>&1) || die "cannot download: $*
$(tail -n 5 <<<"$log")"
}
