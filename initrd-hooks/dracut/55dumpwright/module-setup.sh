#!/bin/bash
# A dracut module: puts dumpwright, its configuration and keys, and the drivers of its targets into a capture initrd.
# build-initrd-dracut calls dracut with what it needs; no other initrd gets it.
# shellcheck disable=SC2154 # what dracut sets: moddir, initdir, kernel

if [[ ${DUMPWRIGHT_COMMON-} ]]; then
  # shellcheck source=initrd-hooks/common.sh
  . "$DUMPWRIGHT_COMMON"
  # shellcheck source=initrd-hooks/hardware.sh
  . "${DUMPWRIGHT_COMMON%/*}/hardware.sh"
fi

check() {
  [[ ${DUMPWRIGHT_COMMON-} && ${DUMPWRIGHT_CONFIG-} && ${DUMPWRIGHT_EXECUTABLE-} ]] || return 255
}

# The devices of the targets, as they are called on this machine now.
dumpwright_devices() {
  local target device
  while read -r device target; do
    readlink -f "$device"
  done < <(dumpwright_config --devices)
}

# What the targets' devices lie on.
depends() {
  local device type
  echo base udev-rules
  # A module of its own in newer versions.
  # shellcheck disable=SC2154 # what dracut sets
  if [[ $DUMPWRIGHT_SYSTEMD != yes ]] && compgen -G "$dracutbasedir/modules.d/*initqueue" >/dev/null; then echo initqueue; fi
  while read -r device; do
    while read -r type; do
      case $type in
        lvm) echo lvm ;;
        raid*) echo mdraid ;;
        mpath) echo multipath ;;
      esac
    done < <(lsblk -sno TYPE "$device" 2>/dev/null)
  done < <(dumpwright_devices) | sort -u
}

installkernel() {
  # shellcheck disable=SC2034 # instmods reads it
  local hostonly='' device type module
  while read -r module; do
    instmods "$module"
  done < <(dumpwright_target_modules && dumpwright_watchdog_modules)
  while read -r device; do
    type=$(blkid -o value -s TYPE "$device")
    case $type in
      ext2 | ext3 | ext4) instmods "$type" crc32c_generic crc32c-intel ;;
      xfs) instmods xfs crc32c_generic crc32c-intel libcrc32c ;;
    esac
    if [[ -d /sys/bus/scsi ]]; then instmods sd_mod; fi
  done < <(dumpwright_devices)
  if [[ $(dumpwright_config --hosts) ]]; then
    while read -r module; do
      instmods "$module"
    done < <(dumpwright_card_modules)
    instmods af_packet ipv6
  fi
  return 0
}

install() {
  local key file devices
  inst_binary "$DUMPWRIGHT_EXECUTABLE" /usr/sbin/dumpwright
  inst_simple "$DUMPWRIGHT_CONFIG" /etc/dumpwright.conf
  # udev loads the drivers: there is no list of them for dumpwright. But it finds nothing that ipmi_watchdog is for, and
  # distributions tell it to leave watchdogs alone.
  mkdir -p "$initdir/lib/modules" "$initdir/etc"
  # What dumpwright-capture.sh waits for.
  dumpwright_config --devices | cut -d ' ' -f 1 >"$initdir/etc/dumpwright.devices"
  : >"$initdir/lib/modules/modules.list"
  dumpwright_watchdog_modules >"$initdir/etc/dumpwright-watchdogs"
  # Without a word on the command line dracut takes away the rules that put these together.
  mapfile -t devices < <(dumpwright_devices)
  if [[ ${#devices[@]} -gt 0 ]] && grep -qE '^(lvm|raid|mpath)' < <(lsblk -sno TYPE "${devices[@]}" 2>/dev/null); then
    mkdir -p "$initdir/etc/cmdline.d"
    # What lacks a disk is put together without it after two thirds of these seconds: before dumpwright-capture.sh has
    # waited enough.
    echo 'rd.auto=1 rd.retry=40' >"$initdir/etc/cmdline.d/50-dumpwright.conf"
  fi
  [[ ! -s $DUMPWRIGHT_ADDRESSES ]] || inst_simple "$DUMPWRIGHT_ADDRESSES" /etc/hosts.known
  for key in ssh_key ssh_known_hosts; do
    file=$(dumpwright_setting "$key")
    [[ -z $file ]] || inst_simple "$file"
  done
  [[ ! -f /etc/hosts ]] || inst /etc/hosts
  while read -r file; do inst "$file"; done < <(dumpwright_scripts)
  if dracut_module_included systemd; then
    # shellcheck disable=SC2154 # what dracut sets
    inst_simple "$moddir/dumpwright-capture.service" "$systemdsystemunitdir/dumpwright-capture.service"
    inst_simple "$moddir/dumpwright-nothing.service" "$systemdsystemunitdir/dumpwright-nothing.service"
    # The administrator's settings are packed too. With this one systemd would hold the watchdog, and feed it for ever.
    mkdir -p "$initdir/etc/systemd/system.conf.d"
    printf '[Manager]\nRuntimeWatchdogSec=0\n' >"$initdir/etc/systemd/system.conf.d/zz-dumpwright.conf"
    # systemd complains otherwise.
    chmod 644 "$initdir/etc/systemd/system.conf.d/zz-dumpwright.conf"
    # systemd starts it in an initrd; what is in /etc comes before the usual one.
    inst_simple "$moddir/dumpwright.target" /etc/systemd/system/initrd.target
  else
    inst_simple "$moddir/dumpwright-begin" /usr/sbin/dumpwright-begin
    inst_hook cmdline 99 "$moddir/dumpwright-root.sh"
    inst_hook initqueue/settled zz "$moddir/dumpwright-capture.sh"
    inst_hook initqueue/finished zz "$moddir/dumpwright-never.sh"
  fi
}
