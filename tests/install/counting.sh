# shellcheck shell=bash
# How the checks of this folder count: to be read by `.`. Where there is a folder $root, its file `said` is what was said last.
passed=0 failed=0

# check NAME COMMAND...
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    echo "FAILED: $name"
    [ ! -s "${root-}/said" ] || sed 's/^/    /' "$root/said"
    failed=$((failed + 1))
  fi
}

# The last line of each of them; its status is theirs.
tell_counts() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
