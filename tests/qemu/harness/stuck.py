"""A capture that gets stuck for ever, on a machine with a hardware watchdog: that has to reset it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.base import HarnessError
from harness.cells import Cell
from harness.checks import Check
from harness.machine import WATCHDOG_ACTED, Machine, Outcome
from harness.nbd_disk import NbdDisk

# The disk stops answering after so much: behind the mount, in the middle of the dump.
STOP_AFTER = 8 << 20
FED = "watchdog: /dev/watchdog0 is fed"
ENDED = ("the dump is complete", "an incomplete dump was saved", "without pages", "NO DUMP WAS SAVED")
WATCHDOG_S = 60
PATIENCE_S = 150  # without a sign of life, see Supervision::feed_limit_ms


@contextlib.contextmanager
def stopping_disk(cell: Cell, machine: Machine, work: Path) -> Iterator[None]:
    """While it is open the machine's dump disk is one that stops in the middle, if the cell asks for that."""
    if not cell.watchdog:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="dumpwright-nbd-") as folder:
        address = Path(folder) / "disk"
        machine.dump_drive = f"file=nbd:unix:{address},format=raw,if=virtio,cache=none"
        disk = NbdDisk(machine.dump_disk, work / "disk.log", address, 2 * STOP_AFTER, stop_after=STOP_AFTER)
        with disk:
            yield
        if disk.failure or not disk.stopped:
            raise HarnessError(disk.failure or "the disk was never written to so far that it would stop")


def judge_reset(console: str, qemu_log: str, capture_s: float) -> list[str]:
    """The watchdog was armed, was fed for as long as there is patience, and reset the machine; nobody else ended it."""
    wrong = []
    if FED not in console:
        wrong.append("the capture kernel does not say that it feeds a watchdog")
    if WATCHDOG_ACTED not in qemu_log:
        wrong.append("QEMU tells of no watchdog that acted")
    wrong += [f"the capture ended by itself: {text}" for text in ENDED if text in console]
    if capture_s < PATIENCE_S + WATCHDOG_S / 2:
        wrong.append(f"the machine was reset {capture_s:.0f} s after the panic: the watchdog was not fed")
    return wrong


def check_reset(cell: Cell, machine: Machine, outcome: Outcome) -> list[Check]:
    console = machine.console.read_text(errors="replace")
    capture_s = outcome.poweroff_s - outcome.panic_s
    said = "\n".join(line for line in console.splitlines() if "dumpwright: " in line)
    return [Check("watchdog", judge_reset(console, machine.log_text(), capture_s), said,
                  f"reset {capture_s:.0f} s after the panic")]
