#!/bin/sh
# dracut's init sources it whenever udev is at rest. Begins the capture, which does not return.
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
/usr/sbin/dumpwright-begin
