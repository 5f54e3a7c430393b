"""The part of selftest about comparing with makedumpfile, crash on two dumps, and other formats."""

from __future__ import annotations

import struct
import tempfile
import unittest
from pathlib import Path

from harness.base import HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check
from harness.compare import Comparison, compare_level, judge
from harness.crash_both import LEAST_LINES, judge_both, says_enough
from harness.dmesg import check_saved_log, judge_log, judge_same
from harness.formats import VERIFY, plain_stream, same_bytes
from harness.kdump import Bitmaps, pfns, read_bitmaps, runs
from harness.known import Difference, explain
from harness.panics import PANICS
from harness.results import Record
from harness.runner import Result
from harness.struct_pages import Layout, Page, make_page
from harness.synthetic import KdumpFile, guest_pages
from harness.vmcoreinfo import read_vmcoreinfo

__all__ = ["BitmapsTest", "CompareTest", "CrashBothTest", "DmesgTest", "FormatsTest", "KnownTest", "NoteTest", "VmcoreinfoTest"]

INFO = {"SYMBOL(mem_section)": "ff00", "SIZE(page)": "64", "OFFSET(page.flags)": "0", "OFFSET(page.mapping)": "24",
        "OFFSET(page._mapcount)": "48", "OFFSET(page.compound_head)": "8", "NUMBER(PG_hwpoison)": "21",
        "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": "-179306497", "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": "-184549377"}
OLD = Layout.of(INFO)
NEW = Layout.of({**INFO, "OFFSET(page.compound_info)": "8"})
HEAD = 0xFFEA000000001000
BOTH = bytes(range(256))


def struct_page(layout: Layout, address: int = HEAD, flags: int = 0, compound: int = 0, mapping: int = 0,
                mapcount: int = 0xFFFFFFFF) -> Page:
    words = [flags, compound, 0, mapping, 0, 0, mapcount, 0]
    return make_page(struct.pack("<8Q", *words), address, layout)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class BitmapsTest(Folder):
    def test_bits_of_a_dump(self) -> None:
        KdumpFile(guest_pages(64), {3, 8, 63}).write(self.folder / "vmcore")
        bitmaps = read_bitmaps(self.folder / "vmcore")
        self.assertEqual(list(pfns(bitmaps.saved)), [3, 8, 63])
        self.assertEqual(bitmaps.ram.bit_count(), 64)
        self.assertTrue(bitmaps.has_saved(8) and not bitmaps.has_saved(9))

    def test_what_is_no_dump_or_is_cut_fails(self) -> None:
        KdumpFile(guest_pages(64), {3}).write(self.folder / "vmcore")
        whole = (self.folder / "vmcore").read_bytes()
        for data in (b"", BOTH, b"X" + whole[1:], whole[:3 * 4096]):
            (self.folder / "vmcore").write_bytes(data)
            with self.assertRaises(HarnessError):
                read_bitmaps(self.folder / "vmcore")

    def test_runs(self) -> None:
        self.assertEqual(runs([1, 2, 3, 7, 9, 10]), [(1, 3), (7, 1), (9, 2)])


class KnownTest(unittest.TestCase):
    MASK_TAIL = 0xFFFFFFFFFFFFFF81  # of an order 1 page

    def test_tail_that_makedumpfile_did_not_notice(self) -> None:
        tail = struct_page(NEW, HEAD + 64, compound=self.MASK_TAIL)
        self.assertEqual(tail.head_address, HEAD)
        kernel, user = struct_page(NEW), struct_page(NEW, mapping=0xFF01)
        hugetlb = struct_page(NEW, mapcount=-184549377 & 0xFFFFFFFF)
        self.assertIn("tail pages", explain(Difference(1, 8, True), tail, kernel) or "")
        for other in (explain(Difference(1, 8, False), tail, kernel), explain(Difference(1, 16, True), tail, kernel),
                      explain(Difference(1, 8, True), tail, user),
                      explain(Difference(1, 8, True), tail, hugetlb), explain(Difference(1, 8, True), kernel, kernel),
                      explain(Difference(1, 8, True), struct_page(OLD, HEAD + 64, compound=HEAD + 1), kernel)):
            self.assertIsNone(other)

    def test_poisoned_tail(self) -> None:
        tail = struct_page(OLD, HEAD + 64, flags=1 << 21, compound=HEAD + 1)
        self.assertEqual(tail.head_address, HEAD)
        head, sound = struct_page(OLD), struct_page(OLD, HEAD + 64, compound=HEAD + 1)
        self.assertIn("hwpoisoned", explain(Difference(1, 0, False), tail, head) or "")
        for other in (explain(Difference(1, 0, True), tail, head), explain(Difference(1, 0, False), sound, head)):
            self.assertIsNone(other)

    def test_offline_page_at_low_level(self) -> None:
        info = {key: value for key, value in INFO.items() if "hwpoison" not in key}
        info["NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"] = "-257"
        layout = Layout.of(info)
        offline, other = struct_page(layout, mapcount=0xFFFFFEFF), struct_page(layout)
        looked_at = struct_page(Layout.of({**info, "NUMBER(PG_hwpoison)": "21"}), mapcount=0xFFFFFEFF)
        self.assertIn("offline", explain(Difference(1, 1, False), offline, offline) or "")
        for difference, page in ((Difference(1, 1, True), offline), (Difference(1, 2, False), offline),
                                 (Difference(1, 1, False), other), (Difference(1, 1, False), looked_at)):
            self.assertIsNone(explain(difference, page, page))

    def test_user_page_that_is_waited_for(self) -> None:
        waited, plain = struct_page(OLD, flags=1 << 7, mapping=0xFF01), struct_page(OLD, mapping=0xFF01)
        self.assertIn("PG_waiters", explain(Difference(1, 31, False), waited, waited) or "")
        no_type = Layout.of({key: value for key, value in INFO.items() if "SLAB" not in key})
        slab = struct_page(OLD, flags=1 << 7, mapping=0xFF01, mapcount=0xF54FFFFF)
        other_kernel = struct_page(no_type, flags=1 << 7, mapping=0xFF01)
        for difference, page in ((Difference(1, 31, True), waited), (Difference(1, 16, False), waited),
                                 (Difference(1, 8, False), plain), (Difference(1, 8, False), slab),
                                 (Difference(1, 8, False), other_kernel)):
            self.assertIsNone(explain(difference, page, page))


def bits(*frames: int) -> Bitmaps:
    return Bitmaps(0xFFFF, sum(1 << pfn for pfn in frames))


class CompareTest(Folder):
    TAIL = (struct_page(NEW, HEAD + 64, compound=KnownTest.MASK_TAIL), struct_page(NEW))
    PLAIN = (struct_page(NEW), struct_page(NEW))

    def judge(self, ours: Bitmaps, theirs: Bitmaps, never: tuple[int, ...] = (), level: int = 8) -> Check:
        comparison = Comparison()
        comparison.add(level, ours, theirs, list(never))
        return judge(comparison, lambda frames: {pfn: self.TAIL if pfn == 5 else self.PLAIN for pfn in frames})

    def test_the_same_pages_pass(self) -> None:
        check = self.judge(bits(1, 2), bits(1, 2))
        self.assertEqual((check.complaints, check.note), ([], "the same pages as makedumpfile's at 1 levels"))

    def test_known_difference_passes_and_is_told(self) -> None:
        check = self.judge(bits(1, 5), bits(1))
        self.assertEqual(check.complaints, [])
        self.assertEqual(check.note, "known differences from makedumpfile: -d 8 1 tail pages of no user page, "
                                     "compound_info")

    def test_everything_else_fails(self) -> None:
        for check, expected in (
                (self.judge(bits(1, 3), bits(1)), "-d 8: only dumpwright saves 1 pages, unexplained: 0x3"),
                (self.judge(bits(1), bits(1, 5, 6)), "-d 8: only makedumpfile saves 2 pages, unexplained: 0x5.2"),
                (self.judge(bits(1, 5), bits(1), level=16), "-d 16: only dumpwright saves 1 pages, unexplained: 0x5"),
                (self.judge(bits(1), Bitmaps(0xFFFD, 2)), "-d 8: the first bitmaps differ: 0x1"),
                (self.judge(bits(1, 4), bits(1, 4), (4,)), "-d 8: poisoned pages are saved: 0x4"),
                (self.judge(bits(), bits()), "-d 8: no page is saved")):
            self.assertRegex("\n".join(check.complaints), expected)

    def program(self, name: str, script: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\nset -e\nfor to; do :; done\n{script}\n")
        path.chmod(0o755)
        return path

    def test_programs_that_fail_or_leave_nothing_fail(self) -> None:
        KdumpFile(guest_pages(64), {3}).write(self.folder / "dump")
        good = f"mkdir $to/host && cp {self.folder}/dump $to/host/vmcore"
        cases = (("good", good, f"cp {self.folder}/dump $to", ""), ("ours", "exit 3", "", "exit 3"),
                 ("nothing", "", "", "left 0 dumps"), ("theirs", good, "exit 1", "exit 1"))
        for name, ours, theirs, expected in cases:
            folder = self.folder / f"in-{name}"
            folder.mkdir()
            arguments = (self.program("ours", ours), self.program("theirs", theirs), Path("vmcore"), 31, folder, [])
            if expected:
                with self.assertRaisesRegex(HarnessError, expected):
                    compare_level(*arguments, Comparison())
            else:
                kept = compare_level(*arguments, Comparison())
                self.assertEqual([path for path in folder.rglob("*") if path.is_file()], [kept])


class VmcoreinfoTest(Folder):
    def write(self, name: bytes) -> Path:
        text = b"OSRELEASE=6.1\nSIZE(page)=64\n"
        note = struct.pack("<III", len(name) + 1, len(text), 0) + name.ljust(-(-(len(name) + 1) // 4) * 4, b"\0") + text
        other = struct.pack("<III", 5, 4, 1) + b"CORE\0\0\0\0" + b"1234"
        header = b"\x7fELF" + bytes(28) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 1)
        segment = struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(other + note), 0, 0)
        path = self.folder / "vmcore.elf"
        path.write_bytes(header.ljust(64, b"\0") + segment + other + note)
        return path

    def test_note_is_found(self) -> None:
        self.assertEqual(read_vmcoreinfo(self.write(b"VMCOREINFO")), {"OSRELEASE": "6.1", "SIZE(page)": "64"})

    def test_its_absence_fails(self) -> None:
        with self.assertRaisesRegex(HarnessError, "no VMCOREINFO"):
            read_vmcoreinfo(self.write(b"OTHER"))


class CrashBothTest(unittest.TestCase):
    FULL = {"": "", **{command: "line\n" * least for command, least in LEAST_LINES.items()}}

    def test_the_same_passes(self) -> None:
        self.assertEqual(judge_both(self.FULL, dict(self.FULL)).complaints, [])
        self.assertEqual(says_enough(self.FULL, ()), [])

    def test_each_difference_fails(self) -> None:
        for command in self.FULL:
            check = judge_both(self.FULL, {**self.FULL, command: self.FULL[command] + "kmem: page excluded\n"})
            self.assertEqual(len(check.complaints), 1)
            self.assertIn("page excluded", check.complaints[0])

    def test_silence_on_both_fails_unless_it_is_known(self) -> None:
        for command in LEAST_LINES:
            silent = {**self.FULL, command: ""}
            self.assertIn("FAILS ON BOTH", judge_both(silent, silent).report)
            self.assertEqual(len(says_enough(silent, ())), 1)
            self.assertEqual(says_enough(silent, (command,)), [])


class DmesgTest(Folder):
    LOG = "\n".join(["[    0.000000] Linux version 6", *PANICS["sysrq"].words]) + "\n"

    def test_a_whole_log_passes(self) -> None:
        self.assertEqual(judge_log(self.LOG), [])
        self.assertEqual(judge_same("x", self.LOG, self.LOG), [])

    def test_a_log_without_its_begin_or_end_or_with_damage_fails(self) -> None:
        for words in ("Linux version", *PANICS["sysrq"].words):
            self.assertEqual(len(judge_log(self.LOG.replace(words, "nothing"))), 1)
        self.assertEqual(judge_log(self.LOG + "dumpwright: the log is damaged\n"),
                         ["dmesg: dumpwright: the log is damaged"])

    def test_the_file_beside_a_dump(self) -> None:
        dump = self.folder / "vmcore"
        self.assertIn("no vmcore-dmesg.txt", check_saved_log(dump).complaints[0])
        dump.with_name("vmcore-dmesg.txt").write_text(self.LOG)
        self.assertEqual(check_saved_log(dump).complaints, [])
        dump.with_name("vmcore-dmesg.txt").write_text("")
        self.assertEqual(len(check_saved_log(dump).complaints), 3)

    def test_each_difference_is_shown(self) -> None:
        for other in (self.LOG + "\n", self.LOG.replace("6", "7"), ""):
            self.assertEqual(len(judge_same("x", self.LOG, other)), 1)
        self.assertIn("line 1", judge_same("x", self.LOG, self.LOG.replace("6", "7"))[0])


class NoteTest(unittest.TestCase):
    def test_result_tells_the_differences(self) -> None:
        result = Result(Cell("c"), checks=[Check("a", [], ""), Check("b", [], "", "the same pages")])
        record = Record.of(result)
        self.assertEqual((record.outcome, record.passed), ("passed; the same pages", True))
        result.complaints.append("wrong")
        self.assertFalse(Record.of(result).passed)


class FormatsTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def test_one_byte_is_a_difference(self) -> None:
        one, other = self.folder / "one", self.folder / "other"
        one.write_bytes(bytes(10000))
        other.write_bytes(bytes(10000))
        self.assertEqual(same_bytes("files", one, other).complaints, [])
        other.write_bytes(bytes(9999) + b"x")
        self.assertEqual(same_bytes("files", one, other).complaints, ["files: one and other differ"])
        other.write_bytes(bytes(9999))
        self.assertTrue(same_bytes("files", one, other).complaints)

    def test_a_damaged_stream_is_an_error(self) -> None:
        content = self.folder / "content"
        content.write_bytes(bytes(range(256)) * 100)
        for codec in VERIFY:
            stream, plain = self.folder / f"stream-{codec}", self.folder / f"plain-{codec}"
            run_tool([codec, "-q", content, *(["-o"] if codec == "zstd" else []), stream], timeout_s=20)
            self.assertEqual(plain_stream(stream, codec, plain).read_bytes(), content.read_bytes())
            damaged = bytearray(stream.read_bytes())
            damaged[-1] ^= 1
            stream.write_bytes(damaged)
            with self.assertRaisesRegex(HarnessError, f"{codec}: exit"):
                plain_stream(stream, codec, self.folder / "nothing")
