"""The part of selftest about what power cuts leave of a dump, and whether that is judged as it should."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import unittest
from pathlib import Path

from harness.checks import RamTruth
from harness.cut_dump import CutDump, State, judge
from harness.iomem import Span
from harness.lossy_disk import Cut, build_image
from harness.machine import RamSegment
from harness.mounted import Extent
from harness.nbd_disk import SECTOR
from harness.power_cuts import Capture, PowerCuts, Progress
from harness.synthetic import PAGE, KdumpFile, guest_pages
from harness.write_log import WriteLog
from selftest_disk import make_log

__all__ = ["CutDumpTest", "CutStreamTest", "PowerCutsTest", "ProgressTest"]

FOLDER = "guest.example-20260102T030405Z"
PAGES = 512
ALL = set(range(PAGES))


def truth_of(folder: Path, pages: list[bytes]) -> RamTruth:
    (folder / "ram").write_bytes(b"".join(pages))
    return RamTruth([RamSegment(0, PAGES * PAGE, folder / "ram", 0)], [Span(0, PAGES * PAGE)])


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class CutDumpFolder(Folder):
    """A folder of dumps after a cut, and the guest's RAM."""

    def setUp(self) -> None:
        super().setUp()
        self.pages = guest_pages(PAGES)
        self.truth = truth_of(self.folder, self.pages)
        self.crash = self.folder / "crash"
        (self.crash / FOLDER).mkdir(parents=True)

    def write(self, name: str = "vmcore.incomplete", *, incomplete: bool = True, missing: set[int] = frozenset(),
              folder: str = FOLDER) -> KdumpFile:
        dump = KdumpFile(self.pages, set(ALL), {300}, missing, incomplete)
        (self.crash / folder).mkdir(exist_ok=True)
        dump.write(self.crash / folder / name)
        return dump

    def change(self, offset: int, data: bytes, name: str = "vmcore.incomplete") -> None:
        with open(self.crash / FOLDER / name, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def judge(self) -> CutDump:
        return judge(self.crash, 1, self.truth, None)

    def assert_wrong(self, why: str) -> None:
        self.assertRegex("\n".join(self.judge().complaints), why)


class CutDumpTest(CutDumpFolder):
    def test_incomplete_dump_passes(self) -> None:
        self.write(missing=set(range(100, 400)))
        found = self.judge()
        self.assertEqual((found.state, found.kept, found.described, found.complaints), (State.INCOMPLETE, 512, 212, []))

    def test_dump_without_any_page_passes(self) -> None:
        self.write(missing=ALL)
        self.assertEqual(self.judge().complaints, [])

    def test_finished_dump_passes_under_both_names(self) -> None:
        for name in ("vmcore", "vmcore.incomplete"):
            self.write(name, incomplete=False)
            self.assertEqual(self.judge().complaints, [])
            (self.crash / FOLDER / name).unlink()

    def test_nothing_passes(self) -> None:
        self.write("vmcore.new")
        self.assertEqual((self.judge().state, self.judge().complaints), (State.NONE, []))
        shutil.rmtree(self.crash)
        self.assertEqual((self.judge().state, self.judge().complaints), (State.NONE, []))

    def test_wrong_page_is_found(self) -> None:
        dump = self.write(missing={7})
        self.change(dump.data_offsets[300] + 5, b"!")
        self.assert_wrong("differing 1 0x12c")

    def test_descriptor_without_its_data_is_found(self) -> None:
        dump = self.write(missing={7})
        self.change(dump.data_offsets[301], bytes(64))
        self.assert_wrong("511 pages have a descriptor, 510 can be read")

    def test_half_a_descriptor_is_found_unless_it_says_so(self) -> None:
        self.write(missing={7})
        self.change(4 * PAGE + 24 * 301 + 8, struct.pack("<II", 1, 0x20))
        self.assertEqual(self.judge().complaints, [])
        self.change(4 * PAGE + 24 * 301 + 8, struct.pack("<II", 0, 0))
        self.assert_wrong("511 pages have a descriptor, 510 can be read")

    def test_wrong_status_is_found(self) -> None:
        self.write(incomplete=False, missing={9})
        self.assert_wrong("status is a finished dump's, but pages are missing")
        (self.crash / FOLDER / "vmcore.incomplete").unlink()
        self.write("vmcore")
        self.assert_wrong("its status INCOMPLETE")

    def test_cut_head_is_found(self) -> None:
        self.write()
        os.truncate(self.crash / FOLDER / "vmcore.incomplete", 4 * PAGE + 100)
        self.assert_wrong("ends in its descriptors")
        os.truncate(self.crash / FOLDER / "vmcore.incomplete", 0)
        self.assert_wrong("no kdump file")

    def test_other_names_and_second_dumps_are_found(self) -> None:
        self.write("vmcore.tmp")
        self.assert_wrong("vmcore.tmp looks like a dump")
        self.write(folder="elsewhere")
        self.assert_wrong("a dump in elsewhere")
        self.write(folder="guest.example-20260102T030405Z-2")
        self.assert_wrong("2 dumps")


class CutStreamTest(CutDumpFolder):
    """A script in place of dumpwright "converts" a stream, which is a kdump file here."""

    def setUp(self) -> None:
        super().setUp()
        self.executable = self.folder / "dumpwright"
        self.dump = self.write("vmcore.zst.incomplete", missing=set(range(100, 400)))
        self.answer(present=212)

    def answer(self, *, present: int, status: int = 3, verify: int = 3) -> None:
        pages = {"kept": 512, "stored": present - 12, "zero": 12} if present else {"kept": 512, "stored": 0, "zero": 0}
        info = json.dumps({"complete": False, "cut_at": 777, "pages": pages})
        self.executable.write_text(f"#!/bin/sh\nif [ $1 = info ]; then echo '{info}'; exit; fi\n"
                                   f"if [ $1 = verify ]; then exit {verify}; fi\n"
                                   f"shift 5; [ {status} = 1 ] || cp $1 $2; exit {status}\n")
        self.executable.chmod(0o755)

    def judge(self) -> CutDump:
        found = judge(self.crash, 1, self.truth, self.executable)
        (self.crash / FOLDER / "converted").unlink(missing_ok=True)
        return found

    def test_cut_stream_passes(self) -> None:
        found = self.judge()
        self.assertEqual((found.state, found.described, found.described_end, found.complaints),
                         (State.INCOMPLETE, 212, 777, []))

    def test_wrong_page_is_found(self) -> None:
        self.change(self.dump.data_offsets[50] + 5, b"!!!", "vmcore.zst.incomplete")
        self.assert_wrong("211 can be read")

    def test_wrong_count_is_found(self) -> None:
        self.answer(present=213)
        self.assert_wrong("info: complete, kept, present are")

    def test_damage_by_the_list_of_checksums_is_found(self) -> None:
        for verify in (0, 1):
            self.answer(present=212, verify=verify)
            self.assert_wrong(f"verify: dumpwright: exit {verify}")

    def test_refusal_is_found_unless_no_page_is_there(self) -> None:
        self.answer(present=212, status=1)
        self.assert_wrong("exit 1")
        self.answer(present=0, status=1)
        self.assertEqual(self.judge().complaints, [])
        self.answer(present=0)
        self.assert_wrong("exit 3")

    def test_without_dumpwright_it_fails(self) -> None:
        self.assertTrue(judge(self.crash, 1, self.truth, None).complaints)


class ProgressTest(Folder):
    def test_data_is_followed_to_the_disk(self) -> None:
        log = make_log(self.folder / "log", (8192, bytes(4096)), None, (1 << 19, bytes(4096)), (4096, bytes(4096)),
                       (65536, bytes(512)))
        progress = Progress(log.records, [Extent(0, 8192, 4096), Extent(4096, 1 << 19, 4096), Extent(8192, 4096, 4096)])
        self.assertEqual([progress.data_end(at) for at in range(6)], [0, 4096, 4096, 8192, 12288, 12288])
        self.assertEqual([progress.flushed_end(at) for at in (1, 2, 5)], [0, 4096, 4096])
        self.assertAlmostEqual(progress.waited_s(5, 4096), 0.2)
        self.assertEqual(progress.waited_s(5, 12288), 0)


class SyntheticWriter:
    """Writes a dump to a disk of which the first page is the dump's name, and the rest the dump. `fault`: what it does
    wrong."""

    AT = PAGE
    GROUP = 64

    def __init__(self, pages: list[bytes], folder: Path, fault: str = "") -> None:
        self._fault = fault
        dump = KdumpFile(pages, set(ALL), ALL - {pfn for pfn in ALL if pfn % 5 == 0})
        dump.write(folder / "whole")
        self._whole = (folder / "whole").read_bytes()
        dump.incomplete, dump.empty_descriptors = True, ALL
        dump.write(folder / "head")
        self._head = (folder / "head").read_bytes()
        self._disk = bytearray(-(-(self.AT + len(self._whole)) // SECTOR) * SECTOR)
        (folder / "base").write_bytes(self._disk)
        self._offsets = dump.data_offsets
        self._steps: list[tuple[int, bytes] | None] = []

    def _write(self, offset: int, data: bytes) -> None:
        """Whole sectors, of which the rest is what it was."""
        self._disk[offset:offset + len(data)] = data
        first, end = offset // SECTOR * SECTOR, -(-(offset + len(data)) // SECTOR) * SECTOR
        for at in range(first, end, 16 * SECTOR):
            self._steps.append((at, bytes(self._disk[at:min(end, at + 16 * SECTOR)])))

    def _flush(self) -> None:
        self._steps.append(None)

    def _name(self, name: str) -> None:
        self._write(0, name.encode().ljust(SECTOR, b"\0"))
        self._flush()

    def _describe(self, first: int, settled: bool) -> None:
        for pfn in range(first, first + self.GROUP):
            at = self.AT + 4 * PAGE + 24 * pfn
            entry = self._whole[at - self.AT:at - self.AT + 24]
            if (at + 8) % SECTOR == 0 and not settled:
                self._disk[at:at + 24] = struct.pack("<QIIQ", 0, 1, 0x20, 0)
            else:
                self._disk[at:at + 24] = entry
        self._write(self.AT + 4 * PAGE + 24 * first, bytes(self._disk[self.AT + 4 * PAGE + 24 * first:][:24 * self.GROUP]))

    def _add_group(self, first: int) -> None:
        begin = self._offsets[first]
        end = self._offsets.get(first + self.GROUP, len(self._whole))
        if self._fault != "descriptors first":
            self._write(self.AT + begin, self._whole[begin:end])
            self._flush()
        if self._fault != "descriptors at once":
            self._describe(first, settled=False)
            self._flush()
            self._settle(first)
        self._describe(first, settled=True)
        if self._fault == "descriptors first":
            self._write(self.AT + begin, self._whole[begin:end])
        self._flush()

    def _settle(self, first: int) -> None:
        for pfn in range(first, first + self.GROUP):
            at = self.AT + 4 * PAGE + 24 * pfn
            if (at + 8) % SECTOR == 0:
                self._write(at, self._whole[at - self.AT:at - self.AT + 8])
        self._flush()

    def log(self, path: Path) -> WriteLog:
        self._write(self.AT, self._head[:4 * PAGE + 24 * PAGES])
        self._flush()
        self._name("vmcore.incomplete")
        for first in range(0, PAGES, self.GROUP):
            self._add_group(first)
        self._write(self.AT, self._whole[:PAGE])
        self._flush()
        for _ in range(20):  # so that some cuts come after it
            self._name("vmcore")
        return make_log(path, *self._steps)


class UnmountedCuts(PowerCuts):
    """The disk needs no file system."""

    def _after(self, cut: Cut, folder: Path, lying_cache: int) -> Path:
        image, crash = folder / "image", folder / "crash"
        build_image(self._capture.base, self._log, cut, image, lying_cache)
        data = image.read_bytes()
        name = data[:SECTOR].rstrip(b"\0").decode()
        if name:
            (crash / FOLDER).mkdir(parents=True)
            (crash / FOLDER / name).write_bytes(data[SyntheticWriter.AT:])
        return crash

    def _extents(self) -> list[Extent]:
        return [Extent(0, SyntheticWriter.AT, self._capture.final.stat().st_size)]


class PowerCutsTest(Folder):
    def wrong_trials(self, fault: str = "", lying_cache: int = 0, cuts: int = 60) -> list[str]:
        pages = guest_pages(PAGES)
        SyntheticWriter(pages, self.folder, fault).log(self.folder / "log")
        capture = Capture(self.folder / "base", self.folder / "log", self.folder / "whole", "none", 1,
                          truth_of(self.folder, pages), None)
        (self.folder / "work").mkdir()
        trials = UnmountedCuts(capture, self.folder / "work", lying_cache=lying_cache).run(cuts, seed=5)
        self.assertEqual({trial.dump.state for trial in trials}, set(State))
        return [str(trial) for trial in trials if trial.complaints]

    def test_right_order_stands_every_cut(self) -> None:
        self.assertEqual(self.wrong_trials(), [])

    def test_descriptors_before_their_data_are_found(self) -> None:
        self.assertRegex("\n".join(self.wrong_trials("descriptors first")), "differing|can be read")

    def test_descriptors_across_sectors_are_found(self) -> None:
        self.assertRegex("\n".join(self.wrong_trials("descriptors at once", cuts=150)), "can be read")

    def test_lying_disk_is_found(self) -> None:
        wrong = "\n".join(self.wrong_trials(lying_cache=256 * 1024))
        self.assertRegex(wrong, "differing|can be read")
        self.assertRegex(wrong, "though the finished dump was flushed")
