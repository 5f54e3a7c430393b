# shellcheck shell=sh disable=SC3043 # dash, busybox and bash have local
# What this machine is made of, as its kernel tells in /sys, and which modules that needs: to be read by `.` behind common.sh.
#
# DUMPWRIGHT_ROOT is the folder above dev and sys; empty or unset: that is /. DUMPWRIGHT_KERNEL is the version of the kernel
# whose modules are meant.

# dumpwright_modprobe OPTION...: for that kernel. Whoever looks for modules elsewhere than modprobe does replaces it.
dumpwright_modprobe() { modprobe -S "$DUMPWRIGHT_KERNEL" "$@"; }

# dumpwright_has_module NAME: whether that kernel has it, as a file or built in.
dumpwright_has_module() { dumpwright_modprobe --show-depends "$1" >/dev/null 2>&1; }

# dumpwright_chain FOLDER: a device in /sys and the devices that it hangs on, these first, as folders.
dumpwright_chain() {
  local link
  case $1 in */sys/devices/*) ;; *) return 0 ;; esac
  dumpwright_chain "${1%/*}"
  # A disk that NVMe reaches in several ways hangs on none of them: links to its controllers stand above it.
  for link in "$1"/nvme[0-9]*; do
    [ ! -L "$link" ] || dumpwright_chain "$(realpath "$link")"
  done
  printf '%s\n' "$1"
}

# dumpwright_block_folder DEVICE: of a path in /dev its folder in /sys; nothing if there is no such device now.
dumpwright_block_folder() {
  local device
  device=$(realpath -e "${DUMPWRIGHT_ROOT-}$1" 2>/dev/null) || return 0
  realpath -e "${DUMPWRIGHT_ROOT-}/sys/class/block/${device##*/}" 2>/dev/null || :
}

# dumpwright_disk FOLDER: of a partition that of its disk.
dumpwright_disk() {
  if [ -e "$1/partition" ]; then printf '%s\n' "${1%/*}"; else printf '%s\n' "$1"; fi
}

# dumpwright_block_chain FOLDER: the chains of a block device, and of all that it is put together from.
dumpwright_block_chain() {
  local part
  for part in "$(dumpwright_disk "$1")"/slaves/*; do
    [ ! -e "$part" ] || dumpwright_block_chain "$(realpath "$part")"
  done
  dumpwright_chain "$1"
}

# dumpwright_drivers FOLDER: the modules that may drive this one device: what drives it now, which is to be loaded first, and
# what its alias stands for.
dumpwright_drivers() {
  {
    [ ! -e "$1/driver/module" ] || basename "$(realpath "$1/driver/module")"
    [ ! -r "$1/modalias" ] || dumpwright_modprobe -R "$(cat "$1/modalias")" 2>/dev/null || :
  } | tr - _
}

# dumpwright_modules: of the folders on standard input, those that the kernel has, each once.
dumpwright_modules() {
  local folder name
  awk '!seen[$0]++' | while read -r folder; do dumpwright_drivers "$folder"; done | awk '!seen[$0]++' |
    while read -r name; do
      if dumpwright_has_module "$name"; then printf '%s\n' "$name"; fi
    done
}

# dumpwright_target_modules: of the devices of all targets.
dumpwright_target_modules() {
  local device target folder
  dumpwright_config --devices | while read -r device target; do
    folder=$(dumpwright_block_folder "$device")
    [ -z "$folder" ] || dumpwright_block_chain "$folder"
  done | dumpwright_modules
}

# dumpwright_card_modules: of this machine's network cards, but not of those for Wi-Fi, which bring much firmware and which
# nobody sets up.
dumpwright_card_modules() {
  local card
  for card in "${DUMPWRIGHT_ROOT-}"/sys/class/net/*; do
    [ ! -e "$card/device" ] || [ -e "$card/phy80211" ] || dumpwright_chain "$(realpath "$card/device")"
  done | dumpwright_modules
}

# dumpwright_watchdog_modules: of this machine's watchdogs. One that the crashed kernel armed has to be fed.
dumpwright_watchdog_modules() {
  local folder name
  for folder in "${DUMPWRIGHT_ROOT-}"/sys/class/watchdog/*; do
    [ ! -e "$folder" ] || dumpwright_chain "$(realpath "$folder")"
  done | dumpwright_modules
  # It is not in that class, and nothing in /sys stands for it.
  [ -e "${DUMPWRIGHT_ROOT-}/sys/module/ipmi_watchdog" ] || return 0
  for name in ipmi_si ipmi_ssif ipmi_watchdog; do
    [ ! -e "${DUMPWRIGHT_ROOT-}/sys/module/$name" ] || ! dumpwright_has_module "$name" || printf '%s\n' "$name"
  done
}

# dumpwright_check_driver FOLDER TARGET: what drives the device now has to be in the capture kernel too.
dumpwright_check_driver() {
  local name
  # What is built into this kernel has no state. It need not have a name that could be looked for.
  [ -e "$1/driver/module/initstate" ] || return 0
  for name in $(dumpwright_drivers "$1"); do
    if dumpwright_has_module "$name"; then return 0; fi
  done
  dumpwright_die "target $2: its device hangs on $1, whose driver $(basename "$(realpath "$1/driver/module")") is not in" \
    "kernel $DUMPWRIGHT_KERNEL, neither as a module nor built in; install it there (DKMS?), or use another target"
}

# dumpwright_check_drivers FOLDER TARGET
dumpwright_check_drivers() {
  local folder driven=no
  dumpwright_block_chain "$1" | {
    while read -r folder; do
      [ ! -e "$folder/driver" ] || driven=yes
      dumpwright_check_driver "$folder" "$2"
    done
    [ "$driven" = yes ] || dumpwright_die "target $2: ${1##*/} is no disk: it has no driver that an initrd could load;" \
      "use a partition of a disk, or a server (ssh://, nfs://)"
  } || exit 1
}

# dumpwright_layer DISK: by what a disk in /sys is put together; nothing if it is one.
dumpwright_layer() {
  [ ! -e "$1/md" ] || echo RAID
  [ -e "$1/dm" ] || return 0
  case $(cat "$1/dm/uuid" 2>/dev/null) in
    LVM-*) echo LVM ;;
    CRYPT-*) echo 'an encrypted device' ;;
    mpath-* | part*-mpath-*) echo multipath ;;
    *) echo 'the device mapper' ;;
  esac
}

# dumpwright_remote FOLDER: over what a device is reached that somebody has to connect to first; nothing if there is no such
# thing.
dumpwright_remote() {
  case $1 in */devices/platform/host*/session*) echo iSCSI ;; esac
  case $(cat "$1/transport" 2>/dev/null) in tcp | rdma | fc | loop) echo 'NVMe over fabrics' ;; esac
}

# dumpwright_layers FOLDER: of a block device all layers that it lies on, one per line.
dumpwright_layers() {
  local disk part folder
  disk=$(dumpwright_disk "$1")
  dumpwright_layer "$disk"
  for part in "$disk"/slaves/*; do
    [ ! -e "$part" ] || dumpwright_layers "$(realpath "$part")"
  done
  dumpwright_chain "$disk" | while read -r folder; do dumpwright_remote "$folder"; done | sort -u
}

# dumpwright_puts_together KIND LAYER: whether an initrd of that kind does.
dumpwright_puts_together() {
  case $1:$2 in
    dracut:LVM | dracut:RAID | dracut:multipath | dracut-systemd:RAID) ;;
    # mdadm brings the rules for udev.
    initramfs-tools:RAID) [ -e "${DUMPWRIGHT_ROOT-}/usr/share/initramfs-tools/hooks/mdadm" ] ;;
    *) return 1 ;;
  esac
}

# dumpwright_check_layers KIND FOLDER TARGET
dumpwright_check_layers() {
  local layer instead='use a partition (raw:/dev/X) or a server (ssh://, nfs://)'
  dumpwright_layers "$2" | while read -r layer; do
    if dumpwright_puts_together "$1" "$layer"; then continue; fi
    [ "$layer" != 'an encrypted device' ] ||
      dumpwright_die "target $3 lies on $layer, and nobody types its passphrase after a crash; $instead"
    if dumpwright_puts_together dracut "$layer"; then instead="$instead, or say \`initrd dracut\`"; fi
    dumpwright_die "target $3 lies on $layer, which an initrd of kind $1 does not set up; $instead"
  done || exit 1
}

# dumpwright_check_file_system DEVICE TARGET
dumpwright_check_file_system() {
  local type device="${DUMPWRIGHT_ROOT-}$1"
  case $2 in dev:*) ;; *) return 0 ;; esac
  if ! [ -r "$device" ] || ! command -v blkid >/dev/null; then
    printf '%s: warning: target %s: cannot see which file system is on %s\n' "${0##*/}" "$2" "$1" >&2
    return 0
  fi
  type=$(blkid -o value -s TYPE "$device" 2>/dev/null) || :
  case $type in
    ext2 | ext3 | ext4 | xfs) ;;
    *) dumpwright_die "target $2: there is ${type:-no file system} on $1, and only ext2, ext3, ext4 and xfs are mounted after a" \
      "crash; give dumpwright a partition of its own (raw:/dev/X), or use another target" ;;
  esac
}

# dumpwright_check_device KIND DEVICE TARGET
dumpwright_check_device() {
  local folder
  folder=$(dumpwright_block_folder "$2")
  dumpwright_check_layers "$1" "$folder" "$3"
  dumpwright_check_drivers "$folder" "$3"
  dumpwright_check_file_system "$2" "$3"
}

# dumpwright_way_kind INTERFACE: what it is instead of a port of a card, or a bridge with such ports; nothing for these.
dumpwright_way_kind() {
  local lower below kind folder="${DUMPWRIGHT_ROOT-}/sys/class/net/$1"
  kind=$(sed -n 's/^DEVTYPE=//p' "$folder/uevent" 2>/dev/null) || return 0
  case $kind in
    wlan | wwan) printf '%s\n' "$kind" && return 0 ;;
    bridge) ;;
    # A card may have others below it, such as Hyper-V's.
    *) [ ! -e "$folder/device" ] || return 0 ;;
  esac
  case $kind in bridge) ;; '') kind=virtual ;; *) printf '%s\n' "$kind" && return 0 ;; esac
  for lower in "$folder"/lower_*; do
    [ -e "$lower" ] || continue
    [ "$kind" = bridge ] || { echo 'combination of other interfaces' && return 0; }
    # Those of virtual machines are ports too.
    below=$(dumpwright_way_kind "${lower##*/lower_}")
    case $below in '' | 'virtual interface') ;; *) printf 'bridge over a %s\n' "$below" && return 0 ;; esac
  done
  [ "$kind" != virtual ] || echo 'virtual interface'
}

# dumpwright_check_way HOST: as this machine goes it now.
dumpwright_check_way() {
  local address interface kind
  case $1 in
    *:*) address=$1 ;;
    *[!0-9.]*) address=$(awk -v name="$1" '$2 == name { print $1; exit }' "${DUMPWRIGHT_ADDRESSES:-/dev/null}") ;;
    *) address=$1 ;;
  esac
  [ -n "$address" ] || return 0
  interface=$(ip -o route get "$address" 2>/dev/null | sed -nE 's/.* dev ([^ ]+).*/\1/p') || return 0
  [ -n "$interface" ] || return 0
  kind=$(dumpwright_way_kind "$interface")
  [ -z "$kind" ] || dumpwright_die "the way to $1 leads over $interface, a $kind, which no initrd sets up;" \
    "use a server that is reached over a port of a network card, a disk (dev:, raw:), or say in kernel_arguments how one" \
    "port reaches it (ip=)"
}

# dumpwright_check_absent: a target that is not there now may be attached again, if there is another to take its place.
dumpwright_check_absent() {
  local device target message absent
  absent=$(dumpwright_config --devices | while read -r device target; do
    [ -n "$(dumpwright_block_folder "$device")" ] || printf '%s %s\n' "$device" "$target"
  done)
  [ -n "$absent" ] || return 0
  printf '%s\n' "$absent" | while read -r device target; do
    message="target $target: this machine has no $device now"
    [ "$(dumpwright_setting target | wc -l)" -gt "$(printf '%s\n' "$absent" | wc -l)" ] ||
      dumpwright_die "$message; correct the target (blkid tells what there is), attach the device, or use another target"
    printf '%s: warning: %s\n' "${0##*/}" "$message; without its driver in the initrd the next target may have to do" >&2
  done || exit 1
}

# dumpwright_check_machine KIND: ends the shell if a target cannot be reached from an initrd of that kind, as far as this
# machine shows.
dumpwright_check_machine() {
  local device target host
  [ -d "${DUMPWRIGHT_ROOT-}/sys/class" ] || return 0
  dumpwright_check_absent
  dumpwright_config --devices | while read -r device target; do
    [ -z "$(dumpwright_block_folder "$device")" ] || dumpwright_check_device "$1" "$device" "$target"
  done || exit 1
  command -v ip >/dev/null || return 0
  # Whoever says how the capture kernel reaches them knows another way.
  case " $(dumpwright_setting kernel_arguments)" in *' ip='*) return 0 ;; esac
  dumpwright_config --hosts | while read -r host; do
    dumpwright_check_way "$host"
  done || exit 1
}
