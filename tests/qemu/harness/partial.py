"""A whole kdump file, cut as an interruption leaves it, and whether crash still starts from what is left."""

from __future__ import annotations

import contextlib
import os
import re
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.base import HarnessError
from harness.cells import CrashQuirks
from harness.checks import Check, run_crash

STATUS_AT = 424
INCOMPLETE = 0x8
WORDS = 3  # of eight bytes in a descriptor: offset, size and flags, page flags
COPY_BYTES = 1 << 24
COMMANDS = ("bt", "log", "ps")
STACK_FRAME = re.compile(r"^ *#\d+ \[[0-9a-f]+\] (\w+) at ", re.MULTILINE)
TASK = re.compile(r"^>? +(\d+) +\d+ +\d+ +[0-9a-f]{16} .*?(\S+)\s*$", re.MULTILINE)
INCOMPLETE_PAGE = re.compile("page incomplete|page excluded|read error|seek error")
PANIC_LINE = re.compile(r"sysrq: Trigger a crash|Kernel panic - not syncing")


def _read(file: int, size: int, offset: int) -> bytes:
    data = os.pread(file, size, offset)
    if len(data) != size:
        raise HarnessError(f"the dump ends at {offset + len(data)}, inside of its tables")
    return data


class PartialDump:
    """A copy of `dump` at `path`, cut off at one place after the other. Not for threads."""

    def __init__(self, dump: Path, path: Path) -> None:
        self.path = path
        with contextlib.ExitStack() as stack:
            self._from = os.open(dump, os.O_RDONLY)
            stack.callback(os.close, self._from)
            self._to = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            stack.callback(os.close, self._to)
            self.size = os.fstat(self._from).st_size
            self._read_tables()
            self._files = stack.pop_all()

    def __enter__(self) -> PartialDump:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        self.path.unlink(missing_ok=True)

    def _read_tables(self) -> None:
        head = _read(self._from, 464, 0)
        block, sub_blocks, bitmap_blocks = struct.unpack_from("<iii", head, 428)
        if head[:8] != b"KDUMP   " or block != 4096 or sub_blocks < 1 or bitmap_blocks < 2:
            raise HarnessError("no kdump file of 4 KiB blocks")
        self._status, = struct.unpack_from("<I", head, STATUS_AT)
        half = bitmap_blocks // 2 * block
        bitmaps = (1 + sub_blocks) * block
        self._table_at = bitmaps + 2 * half
        pages = int.from_bytes(_read(self._from, half, bitmaps + half), "little").bit_count()
        self._table = array("Q", _read(self._from, 8 * WORDS * pages, self._table_at))
        offsets = self._table[0::WORDS]
        sizes = self._table[1::WORDS]
        self._ends = array("Q", (offset + (size & 0xffffffff) for offset, size in zip(offsets, sizes)))
        self.least = self._table_at + 8 * len(self._table)  # all but the data

    def cut(self, size: int) -> int:
        """Makes the copy end at `size` bytes. Returns how many pages it then holds."""
        if not self.least <= size <= self.size:
            raise HarnessError(f"cannot cut at {size}: the tables end at {self.least}, the dump at {self.size}")
        self._copy(size)
        table = array("Q", self._table)
        lost = 0
        for rank, end in enumerate(self._ends):
            if end > size:
                lost += 1
                table[rank * WORDS:(rank + 1) * WORDS] = array("Q", (0, 0, 0))
        os.pwrite(self._to, table.tobytes(), self._table_at)
        os.pwrite(self._to, struct.pack("<I", self._status | INCOMPLETE), STATUS_AT)
        return len(self._ends) - lost

    def cut_share(self, share: float) -> int:
        return self.cut(max(self.least, int(share * self.size)))

    def _copy(self, size: int) -> None:
        have = os.fstat(self._to).st_size
        os.ftruncate(self._to, min(have, size))
        for at in range(have, size, COPY_BYTES):
            os.pwrite(self._to, _read(self._from, min(COPY_BYTES, size - at), at), at)


@dataclass(frozen=True)
class Shown:
    """What crash shows of a dump."""

    status: int | None
    messages: str
    bt: str
    log: str
    ps: str


def _texts(folder: Path) -> dict[str, str]:
    files = {name: folder / f"{name}.txt" for name in COMMANDS}
    return {name: file.read_text(errors="replace") if file.exists() else "" for name, file in files.items()}


def show(crash: str, quirks: CrashQuirks, vmlinux: Path, dump: Path, folder: Path) -> Shown:
    for name in COMMANDS:
        (folder / f"{name}.txt").unlink(missing_ok=True)
    status, messages = run_crash(crash, quirks, vmlinux, dump, folder / "commands",
                                 [f"{name} > {folder}/{name}.txt" for name in COMMANDS])
    return Shown(status, messages, **_texts(folder))


def tasks(ps: str) -> list[str]:
    """Process numbers and names."""
    return sorted(f"{number} {name.strip('[]')}" for number, name in TASK.findall(ps))


def read_shown(folder: Path) -> Shown:
    """What another run of crash on the whole dump left in its folder."""
    return Shown(0, "", **_texts(folder))


def judge_whole(whole: Shown) -> list[str]:
    """Why nothing can be compared with this."""
    wrong: list[str] = []
    if "panic" not in STACK_FRAME.findall(whole.bt):
        wrong.append("no frame of panic() in bt of the whole dump: " + whole.bt[:200] + whole.messages[-500:])
    if not PANIC_LINE.search(whole.log):
        wrong.append("the log of the whole dump has no panic")
    if len(tasks(whole.ps)) < 20:
        wrong.append(f"{len(tasks(whole.ps))} tasks in the whole dump")
    return wrong


def judge_cut(whole: Shown, cut: Shown) -> list[str]:
    """What the cut dump does not show as the whole one does."""
    if cut.status != 0 or not (cut.bt or cut.log or cut.ps):
        lines = cut.messages.strip().splitlines()
        said = [line for line in lines if INCOMPLETE_PAGE.search(line)] or lines
        return [f"crash does not start (exit {cut.status}): " + " | ".join(said[-2:])]
    wrong: list[str] = []
    if STACK_FRAME.findall(cut.bt) != STACK_FRAME.findall(whole.bt):
        wrong.append("bt differs: " + " | ".join(cut.bt.splitlines()[-3:]))
    if cut.log != whole.log:
        wrong.append(f"log has {len(cut.log.splitlines())} of {len(whole.log.splitlines())} lines")
    here, there = tasks(cut.ps), tasks(whole.ps)
    if here != there:
        wrong.append(f"ps: {len(here)} of {len(there)} tasks, {len(set(there) - set(here))} differ or are not there")
    return wrong


@dataclass
class Search:
    """Between `bad`, where crash shows less than of the whole dump, and `good`, both in bytes."""

    bad: int
    good: int
    complaints: list[str]  # about `bad`


def search(partial: PartialDump, judge: Callable[[], list[str]], first: Search, precision: int,
           tell: Callable[[str], None]) -> Search:
    """Bisects from `first` on, whose borders are tried too. Where more bytes are worse than fewer, it finds one border."""
    found = Search(partial.least, partial.size, [])
    sizes = [first.good, first.bad]
    while sizes or found.good - found.bad > precision:
        size = max(partial.least, sizes.pop()) if sizes else (found.good + found.bad) // 2
        if not found.bad <= size < found.good:
            continue
        pages = partial.cut(size)
        complaints = judge()
        tell(f"{size / partial.size:7.2%}  {pages} pages  {complaints[0] if complaints else 'good'}")
        if complaints:
            found.bad, found.complaints = size, complaints
        else:
            found.good = size
        if size == partial.least and not complaints:
            break
    return found


def check_partial(crash: str, quirks: CrashQuirks, vmlinux: Path, dump: Path, share: float, whole: Shown,
                  folder: Path) -> Check:
    """crash has to start from this share of the dump's bytes. The copy is made in `folder`."""
    name = f"crash on {share:.0%} of the dump"
    wrong = judge_whole(whole)
    if wrong:
        return Check(name, wrong, "")
    with PartialDump(dump, folder / "partial") as partial:
        pages = partial.cut_share(share)
        wrong = judge_cut(whole, show(crash, quirks, vmlinux, partial.path, folder))
    return Check(name, [f"{name}: {complaint}" for complaint in wrong], f"{pages} pages, {len(tasks(whole.ps))} tasks")
