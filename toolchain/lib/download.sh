# Finding, downloading and checking source archives. Sourced by build and fetch.
# shellcheck shell=bash disable=SC2016,SC2154
#
# Nothing here trusts a mirror: a file counts only if it has the lock's SHA-256,
# wherever it came from, and it is checked again each time it is taken.

apt_helper=/usr/lib/apt/apt-helper

sha256_of() {
  local sum _
  read -r sum _ < <(sha256sum "$1")
  printf '%s\n' "$sum"
}

# Says that file $1 (at $2) should have SHA-256 $3 but has $4.
say_mismatch() {
  say "$1 is not the file that sources.lock pins"
  say "  found at  $2"
  say "  expected  sha256 $3"
  say "  actual    sha256 $4"
}

# True if $1 has SHA-256 $2; a mismatch is remembered in last_sum.
has_sum() {
  last_sum=$(sha256_of "$1")
  [ "$last_sum" = "$2" ]
}

# apt with lists and sources of its own; /etc/apt is read and never changed.
private_apt() {
  local tool=$1 dir=$cache_root/apt
  shift
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources"
  "$tool" -q=2 -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" \
    -o APT::Sandbox::User=root "$@"
}

# The roots of the Debian mirrors to use, one a line: the one in DUMPWRIGHT_MIRROR,
# or else those of this machine's apt.
mirror_roots() {
  if [ -n "${DUMPWRIGHT_MIRROR:-}" ]; then
    printf '%s\n' "$DUMPWRIGHT_MIRROR"
    return
  fi
  local roots
  roots=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian')
  if [ -z "$roots" ]; then
    # An image without package lists: get the lists of its sources into the cache.
    private_apt apt-get update >&2 || say "apt-get update failed"
    roots=$(private_apt apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian')
  fi
  # The security archive last: nearly everything is in the main one.
  sort -u <<<"$roots" | awk '/security/ { last = last $0 "\n"; next } { print } END { printf "%s", last }'
}

# Downloads address $1 to $2.
download() {
  rm -f "$2"
  "$apt_helper" -q=2 -o APT::Sandbox::User=root -o Acquire::Retries=2 \
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    download-file "$1" "$2" >/dev/null 2>"$2.error" && [ -f "$2" ]
}

# Tries one address: file $1, SHA-256 $2, address $3. On success it is in the cache.
try_address() {
  local file=$1 sum=$2 address=$3 temporary=$source_cache/.$1.part
  if ! download "$address" "$temporary"; then
    tried+=("  $address: $(grep -m1 '^E:' "$temporary.error" || echo 'E: not there')")
  elif ! has_sum "$temporary" "$sum"; then
    say_mismatch "$file" "$address" "$sum" "$last_sum"
    tried+=("  $address: wrong SHA-256")
  else
    mv "$temporary" "$source_cache/$file"
  fi
  rm -f "$temporary" "$temporary.error"
  [ -f "$source_cache/$file" ]
}

# The mirror's address of file $3 in pool folder $2 below root $1. The security
# archive keeps its pool one folder deeper.
pool_address() {
  local root=${1%/} name=${3//+/%2b} pool=$2
  case $root in *security*) pool=${pool/#pool\//pool/updates/} ;; esac
  printf '%s\n' "$root/$pool/${name//\~/%7e}"
}

# Downloads one file of the lock: file, SHA-256, pool folder, upstream's address.
download_source() {
  local file=$1 sum=$2 pool=$3 upstream=$4 root address
  local -a tried=()
  mkdir -p "$source_cache"
  say "downloading $file"
  while read -r root; do
    if [ -n "$root" ] && try_address "$file" "$sum" "$(pool_address "$root" "$pool" "$file")"; then return; fi
  done < <(mirror_roots)
  if [ "$upstream" != - ] && try_address "$file" "$sum" "$upstream"; then return; fi
  address=$(address_in_index "$file" "$sum")
  if [ -n "$address" ] && try_address "$file" "$sum" "$address"; then return; fi
  die "cannot get $file (sha256 $sum); tried:" "${tried[@]}" \
    "what to do: put the file into a folder and use --sources FOLDER, set DUMPWRIGHT_MIRROR to the root" \
    "of a Debian mirror that still has it, or raise the version in sources.lock (see toolchain/README.md)"
}

# Writes deb-src and deb lines for the suites the lock draws from, on the mirrors
# this machine uses.
write_index_sources() {
  local root suites
  while read -r root; do
    case $root in
      *security*) suites='bookworm-security trixie-security' ;;
      *) suites='bookworm trixie sid' ;;
    esac
    printf 'Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\n' "$root" "$suites"
    printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
  done < <(mirror_roots) >"$cache_root/apt/sources/index.sources"
}

# The address that the mirrors' signed indexes give for a file with SHA-256 $2,
# or nothing. This finds a file that a point release moved to another pool.
address_in_index() {
  local file=$1 sum=$2 dir=$cache_root/apt
  local -a options=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$dir/sources")
  mkdir -p "$dir/sources"
  write_index_sources
  say "looking for $file in the mirrors' indexes"
  # Not every mirror has every suite; what there is will do.
  private_apt apt-get "${options[@]}" update >&2 || true
  local root list folder
  while read -r root list; do
    folder=$("$apt_helper" cat-file "$list" | folder_of_sum "$sum" "$file")
    if [ -n "$folder" ]; then
      printf '%s\n' "${root%/}/$folder"
      return
    fi
  done < <(private_apt apt-get "${options[@]}" indextargets --format '$(REPO_URI) $(FILENAME)')
}

# Reads a Sources or Packages index; prints the path of the file with SHA-256 $1.
folder_of_sum() {
  awk -v sum="$1" -v file="$2" '
    /^$/ { directory = ""; name = "" }
    $1 == "Directory:" { directory = $2 }
    $1 == "Filename:" { name = $2 }
    $1 == "SHA256:" && $2 == sum { found_binary = 1 }
    $1 == sum && $3 == file { found_source = 1 }
    /^$/ || found_source || found_binary {
      if (found_source && directory != "") { print directory "/" file; found = 1; exit }
      if (found_binary && name != "") { print name; found = 1; exit }
    }'
}

# Prints the path of a checked copy of one file of the lock. sources_dir, if set,
# is a folder of archives to use instead of the network.
checked_source() {
  local file=$1 sum=$2 pool=$3 upstream=$4 folder
  for folder in ${sources_dir:+"$sources_dir"} "$source_cache"; do
    [ -f "$folder/$file" ] || continue
    if has_sum "$folder/$file" "$sum"; then
      printf '%s\n' "$folder/$file"
      return
    fi
    say_mismatch "$file" "$folder" "$sum" "$last_sum"
    die "what to do: delete $folder/$file and get it again"
  done
  [ -z "${sources_dir:-}" ] ||
    die "$file is missing in $sources_dir (sha256 $sum); with --sources nothing is downloaded"
  download_source "$file" "$sum" "$pool" "$upstream"
  printf '%s\n' "$source_cache/$file"
}

# Makes sure of every file of the packages named (all packages if none is);
# prints their paths.
fetch_packages() {
  local _ file sum pool upstream lines
  lines=$(lock_lines "$@")
  while read -r _ _ file sum pool upstream; do
    checked_source "$file" "$sum" "$pool" "$upstream"
  done <<<"$lines"
}
