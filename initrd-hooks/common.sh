# shellcheck shell=sh disable=SC3043 # dash, busybox and bash have local
# What the builders of initrds and their hooks have in common: to be read by `.` of a shell with `local`.
#
# DUMPWRIGHT_EXECUTABLE is the program, and DUMPWRIGHT_CONFIG the configuration that it reads for them; empty: there is none.

dumpwright_die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# dumpwright_config OPTION...: what check-config prints for scripts.
dumpwright_config() {
  [ -z "$DUMPWRIGHT_CONFIG" ] || "$DUMPWRIGHT_EXECUTABLE" check-config "$@" "$DUMPWRIGHT_CONFIG"
}

# dumpwright_setting KEY: the value that the configuration gives it; targets one per line.
dumpwright_setting() { dumpwright_config --get "$1"; }

# dumpwright_addresses_of NAME: those that it has now, in an order that is always the same.
dumpwright_addresses_of() { timeout 30 getent ahosts "$1" 2>/dev/null | awk '{ print $1 }' | sort -u || true; }

# dumpwright_known_addresses FILE: prints `ADDRESS NAME` for each server that the configuration calls by a name, with the
# addresses that it has now. It keeps those in FILE, which has the same form and may be missing, while one of them is still
# among the answers, of which a name server may give some only, in turn; and where it cannot be resolved now.
dumpwright_known_addresses() {
  local name addresses address before
  dumpwright_config --hosts | while read -r name; do
    case $name in
      *:*) continue ;; # an address, of IPv6
      *[!0-9.]*) ;;
      *) continue ;;
    esac
    addresses=$(dumpwright_addresses_of "$name")
    before=''
    [ ! -f "$1" ] || before=$(awk -v name="$name" '$2 == name { print $1 }' "$1")
    [ -n "$addresses" ] || echo "${0##*/}: warning: $name cannot be resolved now" \
      "$([ -n "$before" ] && echo '(its last addresses are kept)' || echo '(after the crash it has to be)')" >&2
    if [ -z "$addresses" ] || printf '%s\n' "$addresses" | grep -qxF -e "$before"; then addresses=$before; fi
    for address in $addresses; do
      echo "$address $name"
    done
  done
}

# The comment at the head of a script.
dumpwright_usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; }

# dumpwright_builder_options OPTION...: of a builder that has the distribution's tool do the work. Sets both variables for
# its hook, kernel_version and output.
dumpwright_builder_options() {
  DUMPWRIGHT_EXECUTABLE='' DUMPWRIGHT_CONFIG='' kernel_version='' output='' addresses=''
  while [ $# -ge 2 ]; do
    case $1 in
      --executable) DUMPWRIGHT_EXECUTABLE=$2 ;;
      --kernel-version) kernel_version=$2 ;;
      --config) DUMPWRIGHT_CONFIG=$2 ;;
      --addresses) addresses=$2 ;;
      --output) output=$2 ;;
      *) dumpwright_die "unknown option $1" ;;
    esac
    shift 2
  done
  if [ $# != 0 ] || [ -z "$DUMPWRIGHT_EXECUTABLE" ] || [ -z "$kernel_version" ] || [ -z "$DUMPWRIGHT_CONFIG" ] || [ -z "$output" ]; then
    dumpwright_usage >&2
    exit 2
  fi
  [ -x "$DUMPWRIGHT_EXECUTABLE" ] || dumpwright_die "cannot run $DUMPWRIGHT_EXECUTABLE"
  DUMPWRIGHT_EXECUTABLE=$(realpath "$DUMPWRIGHT_EXECUTABLE")
  dumpwright_prepare "$addresses"
  export DUMPWRIGHT_EXECUTABLE DUMPWRIGHT_CONFIG DUMPWRIGHT_COMMON DUMPWRIGHT_ADDRESSES
}

# The program that will read it says what is wrong with it.
dumpwright_check_config() {
  local status=0
  [ -n "$DUMPWRIGHT_CONFIG" ] || return 0
  [ -f "$DUMPWRIGHT_CONFIG" ] && [ -r "$DUMPWRIGHT_CONFIG" ] ||
    dumpwright_die "cannot read the configuration $DUMPWRIGHT_CONFIG"
  dumpwright_config --initrd >&2 || status=$?
  case $status in
    0) ;;
    126 | 127) dumpwright_die "$DUMPWRIGHT_EXECUTABLE cannot be run here, so $DUMPWRIGHT_CONFIG is not checked" ;;
    *) dumpwright_die "$DUMPWRIGHT_CONFIG is not fit for the initrd (check-config ended with status $status)" ;;
  esac
}

# dumpwright_prepare ADDRESSES: checks the configuration, makes the folder $work, which goes away with the shell as
# $new_output does, and puts the configuration there as the initrd is to have it. From here on DUMPWRIGHT_CONFIG is that.
# DUMPWRIGHT_ADDRESSES is a copy of the file ADDRESSES, or what dumpwright_known_addresses says.
dumpwright_prepare() {
  dumpwright_check_config
  new_output=''
  work=$(mktemp -d)
  trap 'rm -rf "$work" ${new_output:+"$new_output"}' EXIT
  [ -n "$DUMPWRIGHT_CONFIG" ] || return 0
  dumpwright_config --packed >"$work/packed.conf"
  "${DUMPWRIGHT_COMMON%/*}/stable-targets" "$work/packed.conf" "${DUMPWRIGHT_ROOT:-/}" >"$work/dumpwright.conf" ||
    dumpwright_die "cannot write to $work"
  DUMPWRIGHT_CONFIG=$work/dumpwright.conf
  DUMPWRIGHT_ADDRESSES=$work/hosts.known
  if [ -n "$1" ]; then cat "$1"; else dumpwright_known_addresses ''; fi >"$DUMPWRIGHT_ADDRESSES"
}

# dumpwright_publish NEW OUTPUT: the initrd, which may hold a key, in one step.
dumpwright_publish() {
  chmod 600 "$1"
  sync "$1"
  mv -f "$1" "$2"
  new_output=''
}

# dumpwright_scripts: the administrator's, one per line. Those that would not run are told.
dumpwright_scripts() {
  local file
  for file in "${DUMPWRIGHT_ROOT-}"/etc/dumpwright/pre.d/* "${DUMPWRIGHT_ROOT-}"/etc/dumpwright/post.d/*; do
    if [ -f "$file" ] && [ -x "$file" ]; then
      echo "$file"
    elif [ -f "$file" ]; then
      echo "dumpwright: warning: $file is left out: it is not executable (chmod +x)" >&2
    fi
  done
}
