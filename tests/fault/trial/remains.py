"""What a run of dumpwright left in a target directory, and whether it may look like that."""

from __future__ import annotations

import filecmp
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trial.stage import Failure, Reference, Shape, Stage, Vmcore, expect

BESIDE = {"vmcore.sums", "vmcore.json", "vmcore-dmesg.txt"}
REPORT_ROOM = {"vmcore.json.new", "vmcore.json.spare"}
WHOLE = "all of it"
CHECKPOINT_BYTES = 64 << 20
# What a kill leaves without descriptors; a little more where it was slow to come.
UNDESCRIBED_BYTES = CHECKPOINT_BYTES + (8 << 20)


@dataclass(frozen=True)
class Remains:
    folder: Path | None  # of the dump; None: nothing at all is there
    names: frozenset[str]

    @property
    def incomplete(self) -> Path | None:
        return self._ending(".incomplete")

    def sealed(self, shape: Shape) -> Path | None:
        return self.folder / shape.file if self.folder and shape.file in self.names else None

    def _ending(self, ending: str) -> Path | None:
        found = [name for name in self.names if name.endswith(ending)]
        expect(len(found) < 2, f"more than one dump: {sorted(found)}")
        return self.folder / found[0] if self.folder and found else None


def look(target: Path) -> Remains:
    """There is at most one folder, that of the crash, and in it nothing unheard of."""
    folders = [entry for entry in target.iterdir() if entry.name != "lost+found"] if target.exists() else []
    expect(len(folders) <= 1, f"more than one folder: {sorted(entry.name for entry in folders)}")
    if not folders:
        return Remains(None, frozenset())
    folder = folders[0]
    expect(folder.is_dir(), f"{folder.name} is no folder")
    expect(folder.name.endswith("Z"), f"{folder.name}: the crash has a second folder")
    names = frozenset(entry.name for entry in folder.iterdir())
    strange = [name for name in names - BESIDE if not name.startswith("vmcore")]
    expect(not strange, f"strange files: {strange}")
    return Remains(folder, names)


@dataclass(frozen=True)
class Descriptors:
    """The table of a kdump file (capture/format/kdump.md)."""

    at: int  # in the file
    file_end: int
    entries: list[tuple[int, int, int, int]]  # offset, size, flags, page flags

    @staticmethod
    def of(dump: Path) -> Descriptors:
        with open(dump, "rb") as file:
            _, sub_blocks, bitmap_blocks = struct.unpack_from("<iii", file.read(464), 428)
            half = bitmap_blocks // 2 * 4096
            file.seek((1 + sub_blocks) * 4096 + half)
            count = int.from_bytes(file.read(half), "little").bit_count()
            at = file.tell()
            table = file.read(count * 24)
            return Descriptors(at, file.seek(0, 2), list(struct.iter_unpack("<QIIQ", table)))

    def undescribed_bytes(self) -> int:
        """Data at the end of the file that no descriptor points to."""
        described = self.at + 24 * len(self.entries)
        for offset, size, _, _ in self.entries:
            described = max(described, offset + size)
        return self.file_end - described


@dataclass(frozen=True)
class Record:
    """Of the journal (capture/journal/journal.md)."""

    kind: int
    at: int  # in the journal
    end: int
    offset: int  # of its piece
    length: int
    pages: int
    stored: int  # of these, those with bytes of their own


HEAD, PAGES, MARK = 1, 2, 3


def journal_records(sums: Path) -> Iterator[Record]:
    """Their checks are verify's matter."""
    journal = sums.read_bytes()
    at = 64
    while at + 56 <= len(journal):
        offset, length, _, kind, chunks, *pages = struct.unpack_from("<QIIHHHHH", journal, at)
        if not 1 <= kind <= 7:
            break
        end = at + 56 + (chunks * 4 + 7) // 8 * 8
        yield Record(kind, at, end, offset, length, sum(pages), pages[0])
        at = end


def vouched_pages(sums: Path) -> int:
    return sum(record.pages for record in journal_records(sums) if record.kind == PAGES)


class PagesSeen:
    """What the journal had before; a later run must not lose any of it."""

    def __init__(self) -> None:
        self.vouched = 0

    def check(self, pages: dict[str, int], sums: Path) -> None:
        expect(pages["excluded"] == 0, f"{pages['excluded']} pages are not in the bitmap")
        self.vouched = max(self.vouched, vouched_pages(sums))
        expect(pages["right"] >= self.vouched,
               f"{pages['right']} pages, but the journal has or had {self.vouched}")


def check_incomplete(stage: Stage, dump: Path, shape: Shape, vmcore: Vmcore, seen: PagesSeen) -> str:
    """Opens what was cut off, and reads every page of it."""
    if shape.format == "elf":
        return "an ELF core cannot be checked"
    readable = dump
    if shape.format == "stream":
        readable = stage.folder / "converted"
        readable.unlink(missing_ok=True)
        ended = stage.run([str(stage.executable), "convert", str(dump), str(readable)])
        if ended.status == 1 and "not one page" in ended.text:
            expect(seen.vouched == 0, f"no page, but the journal had {seen.vouched}")
            return "no page"
        expect(ended.status in (0, 3), f"convert of {dump.name}: status {ended.status}: {ended.text}")
    pages = stage.pages(readable, vmcore.path)
    seen.check(pages, dump.parent / "vmcore.sums")
    text = f"{pages['right']} pages right, {pages['missing']} missing, "
    text += f"{seen.vouched} in the journal"
    if shape.format == "kdump":
        loose = Descriptors.of(dump).undescribed_bytes()
        stage.note("most data without descriptors, MiB", loose / (1 << 20))
        expect(loose <= UNDESCRIBED_BYTES, f"{loose} bytes of data have no descriptor")
        text += f", {loose >> 20} MiB without descriptors"
    else:
        readable.unlink()
    return text


def check_remains(stage: Stage, target: Path, reference: Reference, seen: PagesSeen) -> str:
    """After a run that was cut off: nothing, what was staged, an incomplete dump or all of it."""
    remains = look(target)
    if remains.sealed(reference.shape):
        same_bytes(remains.folder, reference)
        return WHOLE
    for name in remains.names - BESIDE:
        expect(name.endswith((".new", ".incomplete", ".spare", ".once")), f"{name} after the run was cut off")
    if remains.incomplete is None:
        return "nothing" if not remains.names else "nothing that opens"
    verify(stage, remains.folder, 3)
    return check_incomplete(stage, remains.incomplete, reference.shape, reference.vmcore, seen)


def same_bytes(folder: Path, reference: Reference) -> None:
    expect(filecmp.cmp(folder / reference.shape.file, reference.file, shallow=False),
           f"{reference.shape.file} differs from that of the undisturbed run")


def check_finished(stage: Stage, target: Path, reference: Reference, *, as_found: bool = False) -> None:
    """One folder, the whole dump, its checksums, and nothing else. As found: the dump was whole when
    the last run came, which left everything as it was, room for reports included."""
    remains = look(target)
    if remains.folder is None:
        raise Failure("there is no dump")
    missing = {reference.shape.file, "vmcore.sums"} - remains.names
    expect(not missing, f"missing: {sorted(missing)}")
    left = remains.names - BESIDE - {reference.shape.file} - (REPORT_ROOM if as_found else set())
    expect(not left, f"left behind: {sorted(left)} beside {sorted(remains.names - left)}")
    same_bytes(remains.folder, reference)
    verify(stage, remains.folder, 0)


def verify(stage: Stage, folder: Path, status: int) -> None:
    ended = stage.run([str(stage.executable), "verify", str(folder)])
    expect(ended.status == status, f"verify: status {ended.status} instead of {status}: {ended.text}")
