"""bitflip: verify finds every flipped bit of a dump and of its list of checksums."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from trial.remains import Descriptors, HEAD, MARK, PAGES, journal_records, look, verify
from trial.stage import Shape, Stage, expect, tmpfs

SHAPES = [Shape(compress="zstd"), Shape(), Shape(compress="zlib"), Shape("stream", "zstd"),
          Shape("stream", "lz4"), Shape("elf")]
SUMS_SHARE = 0.1  # of the flips: the list is small beside the dump


@dataclass(frozen=True)
class Subject:
    name: str
    folder: Path
    dump: Path
    status: int  # of verify, while it is undamaged

    def place(self, dice: random.Random) -> tuple[Path, int]:
        """A file and a bit in it."""
        file = self.folder / "vmcore.sums" if dice.random() < SUMS_SHARE else self.dump
        ranges = self._vouched(file) if self.status == 3 else [(0, file.stat().st_size)]
        at = dice.randrange(sum(end - begin for begin, end in ranges) * 8)
        for begin, end in ranges:
            if at < (end - begin) * 8:
                return file, begin * 8 + at
            at -= (end - begin) * 8
        raise AssertionError

    def _vouched(self, file: Path) -> list[tuple[int, int]]:
        """Of a dump that is not finished, what the journal speaks for, the descriptors that are
        there, and the journal but for its last record: if that is not right, it was torn."""
        records = list(journal_records(self.folder / "vmcore.sums"))
        if file == self.dump:
            table = Descriptors.of(file)
            return [(record.offset, record.offset + record.length) for record in records
                    if record.kind in (HEAD, PAGES, MARK)] + [
                (table.at + i * 24, table.at + i * 24 + 24) for i, entry in enumerate(table.entries)
                if entry[1] != 0]
        return [(0, records[-1].at)]


def flip(path: Path, bit: int) -> None:
    with open(path, "r+b") as file:
        byte = os.pread(file.fileno(), 1, bit // 8)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 1 << bit % 8]), bit // 8)


class Bitflip:
    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(mib)
        self.folder = stage.folder / "flips"

    def __enter__(self):
        self.folder.mkdir()
        self.subjects = [self._whole(shape) for shape in self.stage.of_formats(SHAPES)]
        self.subjects += [self._incomplete(Shape(compress="zstd"))]
        self._check_undamaged()
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            if kind is None:
                self._check_undamaged()
        finally:
            shutil.rmtree(self.folder)

    def _check_undamaged(self) -> None:
        for subject in self.subjects:
            verify(self.stage, subject.folder, subject.status)

    def _whole(self, shape: Shape) -> Subject:
        target = self.folder / str(shape)
        ended = self.stage.run(self.stage.command(self.vmcore.path, shape, target))
        expect(ended.status == 0, f"{shape}: status {ended.status}: {ended.text}")
        remains = look(target)
        return Subject(str(shape), remains.folder, remains.folder / shape.file, 0)

    def _incomplete(self, shape: Shape) -> Subject:
        """Two thirds of a dump, made on a disk that has no room for more."""
        whole = self.stage.reference(self.vmcore, shape)
        target = self.folder / "incomplete"
        with tmpfs(self.stage.folder / "two-thirds", whole.bytes * 2 // 3 >> 10) as place:
            ended = self.stage.run(self.stage.command(self.vmcore.path, shape, place / "dumps"))
            expect(ended.status == 3, f"on a small disk: status {ended.status}: {ended.text}")
            shutil.copytree(place / "dumps", target)
        remains = look(target)
        return Subject(f"incomplete {shape}", remains.folder, remains.incomplete, 3)

    def trial(self, dice: random.Random) -> str:
        """One bit of each dump."""
        return "; ".join(self._flip(subject, dice) for subject in self.subjects)

    def _flip(self, subject: Subject, dice: random.Random) -> str:
        path, bit = subject.place(dice)
        text = f"{subject.name} {path.name} byte {bit // 8} bit {bit % 8}"
        flip(path, bit)
        try:
            ended = self.stage.run([str(self.stage.executable), "verify", str(subject.folder)])
        finally:
            flip(path, bit)
        expect(ended.status == 1, f"{text}: verify's status {ended.status}: {ended.text}")
        return text
