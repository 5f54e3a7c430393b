"""Runs one guest under QEMU and follows its console from power-on to power-off."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.base import HERE, HarnessError, run_tool, tail
from harness.cells import Cell
from harness.initrds import DUMP_UUID, Kernel
from harness.panics import NMI_WANTED, PANICS

MARK = "dumpwright-test: "
PANIC_MARK = MARK + "panic follows"
# Anything of this before the planned panic means that the guest is not what the test is about.
UNPLANNED = re.compile(
    r"Oops|BUG: |Kernel panic|general protection fault|Out of memory|invoked oom-killer|soft lockup"
    r"|rcu_sched self-detected stall|segfault at|" + MARK + "failed")
WATCHDOG_ACTED = "watchdog_perform_action"  # QEMU's trace
PANIC = re.compile(r"Kernel panic - not syncing")
MIB = 1024 * 1024
# q35 puts this much RAM below 4 GiB, and moves the rest to 4 GiB, once there is at least LOW_LIMIT of it.
LOW_LIMIT = 0xB0000000
LOW_SIZE = 0x80000000
HIGH_START = 1 << 32
GIGANTIC_CMDLINE = ("hugepagesz=1G", "hugepages=1", "hugepagesz=2M", "default_hugepagesz=2M")
GUEST_CMDLINE = ("root=/dev/vda", "ro", "systemd.show_status=false", "systemd.log_level=warning")
BALLOON_MARK = MARK + "balloon wanted"
RAM_PREFIX = "dumpwright-ram-"


@dataclass(frozen=True)
class RamSegment:
    """A piece of guest physical memory and where the host finds its bytes."""

    start: int
    size: int
    file: Path
    offset: int


@dataclass
class Outcome:
    """When things happened, in seconds since power-on."""

    panic_s: float = 0.0
    poweroff_s: float = 0.0


class Machine:
    """Owns the RAM files (removed by close()) and the QEMU process. Use as a context manager."""

    def __init__(self, cell: Cell, work: Path) -> None:
        self.cell = cell
        self.console = work / "console.txt"
        self.second_console = work / "console-2.txt"
        self.dump_disk = work / "dump.img"
        self.dump_drive = f"file={self.dump_disk},format=raw,if=virtio,cache=unsafe"  # as QEMU's -drive has it
        self._scratch_disk = work / "scratch.img"
        self._log = work / "qemu.log"
        parent = _ram_parent(cell, work)
        _remove_stale(parent)
        self._ram_folder = tempfile.TemporaryDirectory(prefix=f"{RAM_PREFIX}{os.getpid()}-", dir=parent)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._ram_folder.cleanup()

    def _backends(self) -> list[tuple[Path, int]]:
        size = self.cell.memory_mib * MIB // self.cell.numa_nodes
        return [(Path(self._ram_folder.name) / f"ram{node}", size)
                for node in range(self.cell.numa_nodes)]

    def ram(self) -> list[RamSegment]:
        """The guest's physical memory map. A machine's RAM is its NUMA nodes' one after the other."""
        total = self.cell.memory_mib * MIB
        low = total if total < LOW_LIMIT else LOW_SIZE
        segments: list[RamSegment] = []
        at = 0
        for file, size in self._backends():
            below = max(0, min(size, low - at))
            if below:
                segments.append(RamSegment(at, below, file, 0))
            if below < size:
                start = HIGH_START + at + below - low
                segments.append(RamSegment(start, size - below, file, below))
            at += size
        return segments

    def make_disks(self, scratch: Path | None = None) -> None:
        """The disk of the first kernel, empty or the given image, which the guest may change, and the one that
        receives the dump."""
        size_mib = 0 if self.cell.file_system == "root" else self.cell.disk_mib or 2 * self.cell.memory_mib + 256
        _make_disk(self.dump_disk, self.cell.file_system, size_mib, DUMP_UUID)
        if scratch is None:
            _make_disk(self._scratch_disk, "ext4", 1024, "random")
        else:
            self._scratch_disk = scratch

    def _memory(self) -> list[str]:
        cell = self.cell
        memory: list[str] = []
        for node, (file, size) in enumerate(self._backends()):
            memory += ["-object", f"memory-backend-file,id=ram{node},size={size},mem-path={file},share=on"]
            if cell.numa_nodes > 1:
                cpus = range(node, cell.cpus, cell.numa_nodes)
                memory += ["-numa", f"node,nodeid={node},memdev=ram{node}"]
                for cpu in cpus:
                    memory += ["-numa", f"cpu,node-id={node},socket-id={cpu}"]
        return memory

    def _command(self, kernel: Kernel, initrd: Path, console: Path, memory: list[str]) -> list[str]:
        cell = self.cell
        memory = list(memory)
        machine = "q35,usb=off" + (",memory-backend=ram0" if cell.numa_nodes == 1 else "")
        if cell.balloon_mib:
            memory += ["-device", "virtio-balloon-pci"]
        if cell.balloon_mib or cell.panic == "nmi":
            memory += ["-qmp", f"unix:{self._monitor()},server=on,wait=off"]
        # Without a boot ROM, which is in a package of its own.
        nic = (["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="] if cell.server
               else ["-nic", "none"])
        watchdog = (["-device", "i6300esb", "-action", "watchdog=reset", "-trace", WATCHDOG_ACTED]
                    if cell.watchdog else [])
        cmdline = ["console=ttyS0,115200", "loglevel=5", "panic=1", "oops=panic", "rdinit=/init",
                   f"crashkernel={cell.crashkernel}", *(GUEST_CMDLINE if cell.guest else ()),
                   *(f"memmap={size}M${first}M" for first, size in cell.holes),
                   *(GIGANTIC_CMDLINE if cell.gigantic else ()), *cell.cmdline]
        # setpriv: no QEMU outlives a harness that was killed.
        return ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", machine, "-accel", "tcg,thread=multi", "-cpu", "max",
                "-smp", f"{cell.cpus},sockets={cell.cpus}", "-m", f"{cell.memory_mib}M", *memory,
                *nic, *watchdog, "-chardev", f"file,id=console,path={console}",
                "-serial", "chardev:console",
                "-drive", f"file={self._scratch_disk},format=raw,if=virtio,cache=unsafe",
                "-drive", self.dump_drive,
                "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", " ".join(cmdline)]

    def log_text(self) -> str:
        """What QEMU itself said."""
        return self._log.read_text(errors="replace")

    def _monitor(self) -> Path:
        return Path(self._ram_folder.name) / "monitor"

    def _ask_monitor(self, request: dict[str, object]) -> None:
        requests = ({"execute": "qmp_capabilities"}, request)
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(10)
            monitor.connect(str(self._monitor()))
            with monitor.makefile("rw") as lines:
                lines.readline()  # the greeting
                for request in requests:
                    lines.write(json.dumps(request) + "\n")
                    lines.flush()
                    answer = lines.readline()
                    while '"event"' in answer:
                        answer = lines.readline()
                    if '"return"' not in answer:
                        self._fail(f"QEMU's monitor: {answer}")

    def _do_as_asked(self, before: str, after: str, done: set[str]) -> None:
        """What the guest cannot do itself: each once, when its console asks for it. The balloon is told what the
        machine then keeps."""
        left = (self.cell.memory_mib - self.cell.balloon_mib) * MIB
        for words, text, request in (
                (BALLOON_MARK, before, {"execute": "balloon", "arguments": {"value": left}}),
                (MARK + NMI_WANTED, after, {"execute": "inject-nmi"})):
            if words in text and words not in done:
                self._ask_monitor(request)
                done.add(words)

    def run(self, kernel: Kernel, initrd: Path) -> Outcome:
        """From power-on to power-off. Raises HarnessError if the guest does anything but the plan."""
        if shutil.which("qemu-system-x86_64") is None:
            raise HarnessError(f"qemu-system-x86_64 is missing; run {HERE}/install-packages")
        start = self._start(self._command(kernel, initrd, self.console, self._memory()), self.console)
        return self._follow(start)

    def _start(self, command: list[str], console: Path) -> float:
        """When it was started."""
        console.write_bytes(b"")
        with open(self._log, "wb") as log:
            start = time.monotonic()
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return start

    def run_again(self, kernel: Kernel, initrd: Path) -> None:
        """The next boot of the same disks, in memory of its own: ram() stays what it was at the panic. Raises
        HarnessError unless it ends by itself, without anything unplanned."""
        memory = ["-object", f"memory-backend-ram,id=ram0,size={self.cell.memory_mib * MIB}"]
        start = self._start(self._command(kernel, initrd, self.second_console, memory), self.second_console)
        assert self._process is not None
        ended = False
        while not ended:
            ended = self._process.poll() is not None
            text = self.second_console.read_text(errors="replace")
            if found := UNPLANNED.search(text):
                self._fail(f"the second boot said '{found.group()}'", self.second_console)
            if time.monotonic() - start > self.cell.time_limit_s:
                self._fail(f"the second boot is still running after {self.cell.time_limit_s} s", self.second_console)
            time.sleep(0.05)

    def _follow(self, start: float) -> Outcome:
        assert self._process is not None
        outcome = Outcome()
        done: set[str] = set()
        while True:
            ended = self._process.poll() is not None
            now = time.monotonic() - start
            before, mark, after = self.console.read_text(errors="replace").partition(PANIC_MARK)
            if mark and not outcome.panic_s:
                outcome.panic_s = now
            self._reject_unplanned(before, after)
            if not ended:
                self._do_as_asked(before, after, done)
            if ended:
                outcome.poweroff_s = now
                break
            if now > self.cell.time_limit_s:
                self._fail(f"the guest is still running after {self.cell.time_limit_s} s")
            time.sleep(0.05)
        if self._process.returncode != 0:
            self._fail(f"QEMU ended with status {self._process.returncode}: {tail(self._log, 5)}")
        if not outcome.panic_s:
            self._fail("the guest ended before the planned panic")
        return outcome

    def _reject_unplanned(self, before: str, after: str) -> None:
        found = UNPLANNED.search(before)
        if found:
            time.sleep(0.5)  # for the rest of the message
            self._fail(f"before the planned panic the guest said '{found.group()}'")
        if len(PANIC.findall(after)) > PANICS[self.cell.panic].panics:
            time.sleep(0.5)
            self._fail("the capture kernel panicked")
        if MARK + "failed" in after:
            self._fail("the guest reported a failure after the panic")

    def _fail(self, what: str, console: Path | None = None) -> None:
        console = console or self.console
        raise HarnessError(f"{what}\n--- the console's last lines ({console}):\n" + tail(console, 40))


def _make_disk(path: Path, file_system: str, size_mib: int, uuid: str) -> None:
    with open(path, "wb") as file:
        file.truncate(size_mib * MIB)
    if file_system in ("none", "root"):
        return
    make = {"ext4": ["mke2fs", "-q", "-t", "ext4", "-U", uuid, "-E", "lazy_itable_init=1"],
            "xfs": ["mkfs.xfs", "-q", "-m", f"uuid={uuid}"]}
    run_tool([*make[file_system], path], timeout_s=60)


def _remove_stale(parent: str) -> None:
    """RAM files of harnesses that were killed and could not clean up."""
    for folder in Path(parent).glob(RAM_PREFIX + "*"):
        owner = folder.name[len(RAM_PREFIX):].partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _ram_parent(cell: Cell, work: Path) -> str:
    """/dev/shm if it has ample room: the RAM is written and read in full. Else the work folder."""
    shm = Path("/dev/shm")
    if shm.is_dir() and shutil.disk_usage(shm).free > 2 * cell.memory_mib * MIB:
        return str(shm)
    return str(work)
