"""A capture that gets stuck for ever. If there is no other limit, a hardware watchdog has to reset the machine."""

from __future__ import annotations

from harness.cells import Cell
from harness.checks import Check
from harness.machine import WATCHDOG_ACTED, Machine, Outcome

# The disk stops taking anything after so much: behind the mount, in the middle of the dump.
STOP_AFTER = 48 << 20
FED = "watchdog: /dev/watchdog0 is fed"
ENDED = ("the dump is complete", "an incomplete dump was saved", "without pages", "NO DUMP WAS SAVED")
WATCHDOG_S = 60
PATIENCE_S = 150  # without a sign of life, see Supervision::feed_limit_ms


def drive_options(cell: Cell) -> str:
    """QEMU's, of the dump's disk: so many bytes at once, and then one a second. QEMU lets go what waits when the machine
    is reset or ends, else it would wait itself."""
    return f",throttling.bps-write=1,throttling.bps-write-max={STOP_AFTER}" if cell.stuck else ""


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
