"""Cells in which the power is cut: their logged disk, and what is kept of them to try other cuts on."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.base import ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check, RamTruth
from harness.facts import ram_truth
from harness.machine import Machine
from harness.nbd_disk import NbdDisk
from harness.power_cuts import Capture, check_power_cuts

# The dump goes to the disk once, its head twice; the rest is for the file system's journal.
LOG_LIMIT_PER_RAM = 3


EXECUTABLE = ROOT / "build/static/dumpwright"


def _capture(cell: Cell, disk: Path, work: Path, truth: RamTruth, executable: Path = EXECUTABLE) -> Capture:
    return Capture(work / "base.img", work / "disk.log", disk, cell.file_system, cell.dump_level, truth,
                   executable)


@contextlib.contextmanager
def logged_disk(cell: Cell, machine: Machine, work: Path) -> Iterator[None]:
    """While it is open the machine's dump disk is served and logged, if the cell asks for that."""
    if not cell.power_cuts:
        yield
        return
    run_tool(["cp", "--sparse=always", "--reflink=auto", machine.dump_disk, work / "base.img"], timeout_s=120)
    # Addresses of sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="dumpwright-nbd-") as folder:
        address = Path(folder) / "disk"
        machine.dump_drive = f"file=nbd:unix:{address},format=raw,if=virtio,cache=none,discard=unmap"
        disk = NbdDisk(machine.dump_disk, work / "disk.log", address, LOG_LIMIT_PER_RAM * cell.memory_mib << 20)
        try:
            with disk:
                yield
        finally:
            if disk.failure:
                raise HarnessError(disk.failure)


def check_cell(cell: Cell, machine: Machine, work: Path, truth: RamTruth, seed: int | None) -> list[Check]:
    """Nothing for a cell that asks for no cuts. A failed one keeps its RAM, for tests/qemu/power-cuts."""
    if not cell.power_cuts:
        return []
    if seed is None:
        seed = random.SystemRandom().getrandbits(32)
    check = check_power_cuts(_capture(cell, machine.dump_disk, work, truth), cell.power_cuts, seed, work)
    if check.complaints:
        for file in {segment.file for segment in machine.ram()}:
            shutil.copyfile(file, work / file.name)
    return [check]


def check_kept(cell: Cell, work: Path, count: int, seed: int, *, lying_cache: int, executable: Path) -> Check:
    """Other cuts of a capture whose work folder was kept. lying_cache: as for lossy_disk.build_image."""
    console = (work / "console.txt").read_text(errors="replace")
    with Machine(cell, work) as machine:
        ram = [dataclasses.replace(segment, file=work / segment.file.name) for segment in machine.ram()]
        disk = machine.dump_disk
    capture = _capture(cell, disk, work, ram_truth(cell, console, ram), executable)
    return check_power_cuts(capture, count, seed, work, lying_cache=lying_cache)
