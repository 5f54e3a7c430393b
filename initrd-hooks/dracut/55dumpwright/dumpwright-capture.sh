#!/bin/sh
# dracut's init sources it once udev is at rest. Saves the dump and ends in the final action.
(
  exec >/dev/console 2>&1
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
