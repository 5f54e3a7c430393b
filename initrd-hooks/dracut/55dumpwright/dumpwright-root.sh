#!/bin/sh
# dracut's init sources it. There is no root file system here; the guard is for a driver or a program that hangs before
# the capture begins.
# shellcheck disable=SC2034 # dracut's init reads them
root=dumpwright
rootok=1
# Where it cannot be opened, the guard would not start.
dumpwright_out=/dev/console
(: >"$dumpwright_out") 2>/dev/null || dumpwright_out=/dev/null
(
  sleep 600
  echo "dumpwright: the capture did not begin in 10 minutes; rebooting"
  echo b >/proc/sysrq-trigger
) >"$dumpwright_out" 2>&1 &
echo "$!" >/run/dumpwright-guard
# While a disk hangs its driver, udev is never at rest, dracut gets to no job that waits for that, and to the others every
# two minutes. The target may be another disk, or a server.
(
  sleep 60
  [ -e /run/dumpwright-begun ] || exec /usr/sbin/dumpwright-begin
) &
