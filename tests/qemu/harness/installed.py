"""Guests that are a whole Debian system, with dumpwright installed in them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness.base import HERE, ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check
from harness.compile import guest_program
from harness.cpio import Archive
from harness.initrds import DUMP_UUID, Kernel, add_busybox, add_modules, fill_with_guest_load
from harness.machine import MARK, PANIC_MARK, Machine
from harness.sent import ADDRESS
from harness.servers import Server, network_cmdline

# The root file system of fetch-guest.
ROOT_UUID = "d0d0d0d0-0000-4000-8000-000000000002"
WELL = MARK + "second boot is well"
FILES = Path("etc/dumpwright")  # keys of targets, in the guest
STATE = Path("var/lib/dumpwright-test")
DISK_FOLDER = "/srv/disk"  # where the dump's disk is mounted

# What scripts of the administrator say in the capture kernel.
SCRIPTS = {"pre.d": "test script: before the capture", "post.d": "test script: afterwards: complete, reboot"}
SAVED = "dumpwright: saved "

# In a mount namespace of its own: nothing stays mounted, whatever happens.
_INSTALL = """
set -e
mount -o loop "$1" "$2"
DESTDIR=$2 cmake --install "$3" --prefix /usr >/dev/null
cp -a "$4"/. "$2"/
mkdir -p "$2/usr/lib/modules" "$2/boot"
cp -a "$5/lib/modules/$6" "$2/usr/lib/modules/"
cp -L "$5"/boot/*"$6" "$2/boot/"
chroot "$2" systemctl enable --quiet dumpwright-kdump.service dumpwright-test.service
if [ -e "$2/etc/systemd/system/test-network.service" ]; then chroot "$2" systemctl enable --quiet test-network.service; fi
umount "$2"
"""

_UNIT = """[Unit]
Description=What the test does
After=multi-user.target
[Service]
ExecStart=/var/lib/dumpwright-test/crash-guest
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
[Install]
WantedBy=multi-user.target
"""

# The system's own network, before dumpwright-kdump looks at it.
_NETWORK_UNIT = """[Unit]
Wants=systemd-udev-settle.service
After=systemd-udev-settle.service
Before=dumpwright-kdump.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cd /sys/class/net && set -- e* && ip link set "$$1" up && ip address add ADDRESS dev "$$1"'
[Install]
WantedBy=multi-user.target
""".replace("ADDRESS", ADDRESS)


def make_root_disk(cell: Cell, work: Path) -> Path:
    """A copy of the cached system, which the guest may change."""
    built = Path(run_tool([HERE / "fetch-guest", cell.guest], timeout_s=1800).strip())
    disk = work / "root.img"
    run_tool(["cp", "--sparse=always", built / "root.img", disk], timeout_s=120)
    return disk


def target(cell: Cell, server: Server | None) -> str:
    if server:
        return server.target
    return {"root": f"dev:UUID={ROOT_UUID}:/crash", "none": "raw:/dev/vdb"}.get(
        cell.file_system, f"dev:UUID={DUMP_UUID}:/crash")


def _config(cell: Cell, server: Server | None, files: Path) -> str:
    lines = [f"target {target(cell, server)}", f"dump_level {cell.dump_level}", f"compress {cell.compress}",
             f"initrd {cell.initrd}", "final_action reboot", "failure_action poweroff", *cell.config]
    if arguments := (*network_cmdline(cell), *cell.capture_cmdline):
        lines.append(f"kernel_arguments {' '.join(arguments)}")
    for line in server.config if server else ():
        key, path = line.split(" ", 1)
        files.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, files)
        lines.append(f"{key} /{FILES}/{Path(path).name}")
    return "\n".join(lines) + "\n"


def _dumps(cell: Cell, server: Server | None) -> str:
    """What the second boot has to find, as `dumpwright verify` takes it."""
    if server:
        return ""
    return {"root": "/crash/*/vmcore", "none": "raw:/dev/vdb"}.get(cell.file_system, f"{DISK_FOLDER}/crash/*/vmcore")


def _add_scripts(folder: Path) -> None:
    said = SCRIPTS["post.d"].replace("complete, reboot", "$DUMPWRIGHT_OUTCOME, $DUMPWRIGHT_ACTION")
    for name, line in (("pre.d", SCRIPTS["pre.d"]), ("post.d", said)):
        script = folder / name / "10-test"
        script.parent.mkdir(parents=True)
        script.write_text(f'#!/bin/sh\necho "{line}"\n')
        script.chmod(0o755)


def _overlay(cell: Cell, server: Server | None, work: Path) -> Path:
    """What comes into the guest besides dumpwright and the kernel."""
    tree = work / "overlay"
    shutil.rmtree(tree, ignore_errors=True)
    state = tree / STATE
    state.mkdir(parents=True)
    (tree / "etc/systemd/system").mkdir(parents=True)
    (tree / "etc/systemd/system/dumpwright-test.service").write_text(_UNIT)
    if cell.ip == "own":
        (tree / "etc/systemd/system/test-network.service").write_text(_NETWORK_UNIT)
    (tree / "etc/dumpwright.conf").write_text(_config(cell, server, tree / FILES))
    (tree / "etc/dumpwright.conf").chmod(0o600)
    shutil.copy(HERE / "guest/crash-guest", state)
    (tree / "usr/bin").mkdir(parents=True)
    shutil.copy(guest_program("guest_load"), tree / "usr/bin/guest-load")
    fill = state / "fill"
    fill.write_text(fill_with_guest_load(cell))
    fill.chmod(0o755)
    (state / "settings").write_text(f"DUMPS='{_dumps(cell, server)}'\nPANIC_CPU={cell.panic_cpu}\n")
    if cell.scripts:
        _add_scripts(tree / FILES)
    if cell.file_system == "xfs":
        (tree / "etc/fstab").write_text(f"UUID={ROOT_UUID} / ext4 noatime 0 0\n"
                                        f"UUID={DUMP_UUID} {DISK_FOLDER} xfs defaults 0 0\n")
        (tree / DISK_FOLDER.strip("/")).mkdir(parents=True)
    return tree


def install(cell: Cell, server: Server | None, kernel: Kernel, disk: Path, work: Path) -> None:
    """As root: mounting needs it."""
    mount_point = work / "mounted"
    mount_point.mkdir(exist_ok=True)
    if not (ROOT / "build/static/dumpwright").exists():
        raise HarnessError("build/static/dumpwright is missing; build dumpwright first")
    run_tool(["unshare", "--mount", "--propagation", "private", "sh", "-c", _INSTALL, "install", disk, mount_point,
              ROOT / "build/static", _overlay(cell, server, work), kernel.root, kernel.kver], timeout_s=120)


def build_boot_initrd(kernel: Kernel, output: Path) -> None:
    """Mounts the root disk; the same for both boots. Debian's own would take longer."""
    archive = Archive()
    add_busybox(archive)
    add_modules(archive, kernel)
    archive.add_file("init", HERE / "guest/init-guest")
    archive.write(output)


def check_second_boot(machine: Machine) -> Check:
    """After the capture kernel's final action the system boots again, finds the dump and is ready for the next."""
    first = machine.console.read_text(errors="replace")
    second = machine.second_console.read_text(errors="replace")
    wrong = []
    if "final action: reboot" not in first:
        wrong.append("the capture kernel did not say 'final action: reboot'")
    if WELL not in second:
        wrong.append(f"the second boot did not say '{WELL}'")
    return Check("second boot", wrong, "\n".join(line for line in second.splitlines() if "intact" in line or MARK in line))


def judge_cpus(cell: Cell, capture: str, bt: str) -> list[str]:
    """After a panic on another CPU the capture kernel must not start that which the firmware booted on."""
    wrong = []
    if not re.search(rf"^PID: \d+ .*\bCPU: {cell.panic_cpu}\b", bt, re.MULTILINE):
        wrong.append(f"crash does not say that the panic was on CPU {cell.panic_cpu}")
    if " disable_cpu_apicid=0 " not in capture:
        wrong.append("the capture kernel's command line has no disable_cpu_apicid=0")
    if not re.search(r"Disabling requested cpu\. Processor \d+/0x0 ignored", capture):
        wrong.append("the capture kernel does not say that it left out APIC 0")
    return wrong


def check_cpus(cell: Cell, machine: Machine, work: Path) -> list[Check]:
    """Nothing for a panic on the boot CPU. facts.py counts the CPUs."""
    if not cell.panic_cpu:
        return []
    capture = machine.console.read_text(errors="replace").partition(PANIC_MARK)[2]
    said = "\n".join(line for line in capture.splitlines() if re.search(r"Disabling requested cpu|Brought up", line))
    return [Check("panic on another CPU", judge_cpus(cell, capture, (work / "bt.txt").read_text()), said)]


def judge_scripts(capture: str) -> list[str]:
    """pre.d has its say before the dump is saved, post.d behind it, and knows what came of it."""
    before, saved, after = ([match.start() for match in re.finditer(rf"^{re.escape(text)}{end}", capture, re.MULTILINE)]
                            for text, end in ((SCRIPTS["pre.d"], r"\r?$"), (SAVED, ""), (SCRIPTS["post.d"], r"\r?$")))
    wrong = []
    if len(before) != 1 or not saved or before[0] > saved[0]:
        wrong.append(f"the script in pre.d did not say '{SCRIPTS['pre.d']}' once, before the dump")
    if len(after) != 1 or not saved or after[0] < saved[0]:
        wrong.append(f"the script in post.d did not say '{SCRIPTS['post.d']}' once, after the dump")
    return wrong


def check_scripts(cell: Cell, machine: Machine) -> list[Check]:
    if not cell.scripts:
        return []
    capture = machine.console.read_text(errors="replace").partition(PANIC_MARK)[2]
    said = "\n".join(line for line in capture.splitlines() if line.startswith("test script:"))
    return [Check("pre.d and post.d", judge_scripts(capture), said)]
