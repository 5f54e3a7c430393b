#!/bin/sh
# dracut's init sources it whenever udev is at rest. Saves the dump and ends in the final action.
#
# Others of the same loop put volume groups and RAIDs together, and some disks answer late: so for about 30 s (a round
# takes half a second) the targets' devices are waited for.
dumpwright_rounds=$((${dumpwright_rounds:-0} + 1))
dumpwright_lacks_device() {
  while read -r dumpwright_device; do
    [ -e "$dumpwright_device" ] || return 0
  done </etc/dumpwright.devices
  return 1
}
if [ "$dumpwright_rounds" -lt 60 ] && dumpwright_lacks_device; then
  return 0
fi
(
  # Where it cannot be opened, the redirection would end this shell.
  out=/dev/console
  (: >"$out") 2>/dev/null || out=/dev/null
  exec >"$out" 2>&1
  if [ -e /proc/vmcore ]; then
    # It is noticed when it is there; one that hangs its loader hangs nothing else.
    while read -r module; do modprobe "$module"; done </etc/dumpwright-watchdogs &
    kill "$(cat /run/dumpwright-guard)"
    /usr/sbin/dumpwright supervise
    echo "dumpwright: the supervisor ended with status $?; rebooting"
  else
    echo "dumpwright: there is no /proc/vmcore: nothing to save; rebooting"
  fi
  echo b >/proc/sysrq-trigger
  while :; do sleep 1000; done
)
