"""Each kind of panic proves itself and no other."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from harness.base import HarnessError
from harness.cells import CELLS, Cell
from harness.checks import judge_crash
from harness.dmesg import judge_log
from harness.machine import MARK, PANIC_MARK, Machine
from harness.panics import NMI_WANTED, PANICS, Panic

__all__ = ["PanicsTest"]

PS = "".join(f"    {pid}  0  0  ff32bae6c11f4180  IN  0.2  2304  1656  {name}\n"
             for pid, name in enumerate(("init", "[kthreadd]", "guest-load"), 1))


def shown(panic: Panic) -> tuple[str, str]:
    """bt and log; the last frame as an exception, where it is one."""
    frames = [f"    [exception RIP: {frame}+5]" if frame.startswith("dumpwright_") else
              f" #{number} [ff4dd3a3003f3bf8] {frame} at ffffffff8ba6c62f" for number, frame in enumerate(panic.frames)]
    return "\n".join(frames) + "\n", "\n".join(("[    0.0] Linux version 6", *panic.words)) + "\n"


class AskedMachine(Machine):
    """Without QEMU's monitor."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.asked: list[object] = []

    def _ask_monitor(self, request: dict[str, object]) -> None:
        self.asked.append(request["execute"])


class PanicsTest(unittest.TestCase):
    def test_each_kind_is_told_from_the_others(self) -> None:
        for wanted, panic in PANICS.items():
            for there, other in PANICS.items():
                bt, log = shown(other)
                with self.subTest(wanted=wanted, there=there):
                    self.assertEqual(not judge_crash("", bt, "".join(panic.words), PS, (), panic), wanted == there)
                    self.assertEqual(not judge_crash("", shown(panic)[0], log, PS, (), panic), wanted == there)
                    self.assertEqual(not judge_log(log, panic), wanted == there)

    def machine(self, cell: Cell) -> AskedMachine:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        machine = AskedMachine(cell, Path(holder.name))
        self.addCleanup(machine.__exit__)
        return machine

    def test_one_kernel_panic_more_than_planned_fails(self) -> None:
        for kind, panic in PANICS.items():
            machine = self.machine(Cell("fake", memory_mib=1, panic=kind))
            machine.console.touch()
            line = "Kernel panic - not syncing: \n"
            machine._reject_unplanned("", panic.panics * line)
            with self.subTest(kind), self.assertRaisesRegex(HarnessError, "capture kernel panicked"):
                machine._reject_unplanned("", (panic.panics + 1) * line)

    def test_an_nmi_is_sent_once_and_when_asked_for(self) -> None:
        machine, done = self.machine(Cell("fake", memory_mib=1, panic="nmi")), set[str]()
        for after in ("", MARK + NMI_WANTED, MARK + NMI_WANTED):
            machine._do_as_asked(PANIC_MARK, after, done)
        self.assertEqual(machine.asked, ["inject-nmi"])

    def test_cells_name_kinds_that_there_are(self) -> None:
        self.assertEqual({cell.panic for cell in CELLS}, set(PANICS))
