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

# The comment at the head of a script.
dumpwright_usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; }

# dumpwright_builder_options OPTION...: of a builder that has the distribution's tool do the work. Sets both variables for
# its hook, kernel_version and output.
dumpwright_builder_options() {
  DUMPWRIGHT_EXECUTABLE='' DUMPWRIGHT_CONFIG='' kernel_version='' output=''
  while [ $# -ge 2 ]; do
    case $1 in
      --executable) DUMPWRIGHT_EXECUTABLE=$2 ;;
      --kernel-version) kernel_version=$2 ;;
      --config) DUMPWRIGHT_CONFIG=$2 ;;
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
  dumpwright_prepare
  export DUMPWRIGHT_EXECUTABLE DUMPWRIGHT_CONFIG DUMPWRIGHT_COMMON
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

# Checks the configuration, makes the folder $work, which goes away with the shell as $new_output does, and puts the
# configuration there as the initrd is to have it. From here on DUMPWRIGHT_CONFIG is that.
dumpwright_prepare() {
  dumpwright_check_config
  new_output=''
  work=$(mktemp -d)
  trap 'rm -rf "$work" ${new_output:+"$new_output"}' EXIT
  [ -n "$DUMPWRIGHT_CONFIG" ] || return 0
  dumpwright_config --packed >"$work/dumpwright.conf"
  DUMPWRIGHT_CONFIG=$work/dumpwright.conf
}

# dumpwright_publish NEW OUTPUT: the initrd, which may hold a key, in one step.
dumpwright_publish() {
  chmod 600 "$1"
  sync "$1"
  mv -f "$1" "$2"
  new_output=''
}
