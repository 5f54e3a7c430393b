"""The part of selftest about dumps cut at a share of their bytes."""

from __future__ import annotations

import dataclasses
import os
import struct
import tempfile
import unittest
from pathlib import Path

from harness.base import HarnessError
from harness.kdump import read_bitmaps
from harness.partial import PartialDump, Search, Shown, judge_cut, judge_whole, read_shown, search, tasks
from harness.synthetic import PAGE, KdumpFile, guest_pages

__all__ = ["PartialDumpTest", "PartialJudgeTest", "SearchTest"]

PAGES = 64
BT = " #0 [ff48e8a28100baa8] machine_kexec at ffffffff90e8d531\n #1 [ff48e8a28100bbc8] panic at ffffffff91a75d73\n"
PS = "       PID    PPID  CPU       TASK        ST  %MEM      VSZ      RSS  COMM\n" + "".join(
    f"{'>' if pid == 7 else ' '} {pid:8}       2   0  ff1c11ccc0240000  IN   0.0     2304     1656  [work/{pid}]\n"
    for pid in range(30))
WHOLE = Shown(0, "", BT, "[    1.0] line\n[    9.0] sysrq: Trigger a crash\n", PS)


class PartialDumpTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.whole = self.folder / "whole"
        self.dump = KdumpFile(guest_pages(PAGES), set(range(1, PAGES)))
        self.dump.write(self.whole)
        partial = PartialDump(self.whole, self.folder / "partial")
        self.partial = partial.__enter__()
        self.addCleanup(partial.__exit__, None, None, None)

    def offsets(self) -> list[int]:
        data = self.partial.path.read_bytes()
        at = self.partial.least - 24 * (PAGES - 1)
        found = []
        for rank in range(PAGES - 1):
            descriptor = data[at + rank * 24:at + (rank + 1) * 24]
            self.assertTrue(descriptor[:8] != bytes(8) or descriptor == bytes(24))
            found.append(struct.unpack_from("<Q", descriptor)[0])
        return found

    def test_what_lies_beyond_the_cut_is_gone(self) -> None:
        # One byte short of the 40th page; and again after smaller and larger cuts.
        size = self.dump.data_offsets[41] - 1
        expected = [self.dump.data_offsets[pfn] if pfn < 40 else 0 for pfn in range(1, PAGES)]
        for other in (size, self.partial.least, self.partial.size - 1):
            self.partial.cut(other)
            self.assertEqual(self.partial.cut(size), 39)
            self.assertEqual(self.offsets(), expected)
            self.assertEqual(self.partial.path.stat().st_size, size)
            data = self.partial.path.read_bytes()
            self.assertEqual(data[self.partial.least:], self.whole.read_bytes()[self.partial.least:size])
            self.assertEqual(struct.unpack_from("<I", data, 424)[0], 1 | 8)
            self.assertEqual(read_bitmaps(self.partial.path), read_bitmaps(self.whole))

    def test_borders(self) -> None:
        self.assertEqual(self.partial.cut(self.partial.least), 0)
        self.assertEqual(self.partial.cut(self.partial.size), PAGES - 1)
        self.assertEqual(self.partial.cut_share(0.0), 0)
        for size in (self.partial.least - 1, self.partial.size + 1):
            with self.assertRaises(HarnessError):
                self.partial.cut(size)

    def test_what_is_no_dump_fails(self) -> None:
        os.truncate(self.whole, self.partial.least - 1)
        with self.assertRaisesRegex(HarnessError, "inside of its tables"):
            PartialDump(self.whole, self.folder / "other")
        self.whole.write_bytes(bytes(PAGE))
        with self.assertRaisesRegex(HarnessError, "no kdump file"):
            PartialDump(self.whole, self.folder / "other")


class PartialJudgeTest(unittest.TestCase):
    def test_the_same_passes(self) -> None:
        self.assertEqual(judge_whole(WHOLE), [])
        self.assertEqual(judge_cut(WHOLE, WHOLE), [])
        self.assertEqual(len(tasks(PS)), 30)

    def test_a_task_with_other_numbers_is_the_same(self) -> None:
        other = dataclasses.replace(WHOLE, ps=PS.replace("1656", "   0").replace("[work/3]", "work/3"))
        self.assertEqual(judge_cut(WHOLE, other), [])

    def test_each_thing_that_lacks_is_told(self) -> None:
        lines = PS.splitlines(keepends=True)
        for field, text, complaint in (("bt", BT.splitlines()[0], "bt differs"), ("bt", "", "bt differs"),
                                       ("log", "[    1.0] line\n", "log has 1 of 2 lines"),
                                       ("ps", "".join(lines[:-1]), "29 of 30 tasks"), ("ps", "", "0 of 30 tasks"),
                                       ("status", 1, "does not start"), ("status", None, "does not start")):
            with self.subTest(field=field, complaint=complaint):
                wrong = judge_cut(WHOLE, dataclasses.replace(WHOLE, **{field: text}))
                self.assertEqual(len(wrong), 1)
                self.assertIn(complaint, wrong[0])

    def test_nothing_shown_at_all(self) -> None:
        self.assertIn("does not start", judge_cut(WHOLE, Shown(0, "crash: page incomplete", "", "", ""))[0])

    def test_what_another_run_left_is_read(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as name:
            for command in ("bt", "log", "ps"):
                (Path(name) / f"{command}.txt").write_text(getattr(WHOLE, command))
            self.assertEqual(read_shown(Path(name)), WHOLE)
            (Path(name) / "bt.txt").unlink()
            self.assertEqual(len(judge_whole(read_shown(Path(name)))), 1)

    def test_a_whole_dump_that_shows_nothing_is_no_yardstick(self) -> None:
        for field in ("bt", "log", "ps"):
            self.assertEqual(len(judge_whole(dataclasses.replace(WHOLE, **{field: ""}))), 1)


class FakeDump:
    """Good from `enough` bytes on."""

    least = 100
    size = 10_000

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self.tried: list[int] = []

    def cut(self, size: int) -> int:
        self.tried.append(size)
        return size

    def judge(self) -> list[str]:
        return [] if self.tried[-1] >= self.enough else ["too little"]


class SearchTest(unittest.TestCase):
    def find(self, enough: int, low: int = 0, high: int = FakeDump.size) -> tuple[Search, FakeDump]:
        dump = FakeDump(enough)
        found = search(dump, dump.judge, Search(low, high, []), 10, lambda _: None)  # type: ignore[arg-type]
        return found, dump

    def test_the_border_is_found_from_wherever_it_begins(self) -> None:
        for low, high in ((0, FakeDump.size), (2000, 3000), (3500, 9000), (100, 200), (2990, 3010)):
            found, dump = self.find(3000, low, high)
            self.assertTrue(found.bad < 3000 <= found.good <= found.bad + 10, (low, high, found))
            self.assertEqual(found.complaints, ["too little"])
        self.assertLess(len(dump.tried), 6)

    def test_tables_alone_may_be_enough(self) -> None:
        found, _ = self.find(0)
        self.assertEqual((found.good, found.complaints), (FakeDump.least, []))

    def test_only_the_whole_dump_may_be_enough(self) -> None:
        found, _ = self.find(FakeDump.size)
        self.assertEqual(found.good, FakeDump.size)
