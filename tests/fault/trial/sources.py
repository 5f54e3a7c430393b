"""source: a vmcore that is cut, that cannot be read, or that changes while it is captured."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import random
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from trial.places import set_size_limit
from trial.remains import BESIDE, Remains, look, verify
from trial.stage import Disk, Ended, Shape, Stage, Unable, Vmcore, empty, expect, run_tool

SHAPES = [Shape(level=level, compress=compress)
          for level in (0, 1, 31) for compress in ("none", "zstd", "zlib")]
PAGE = 4096  # and the block size of the disk
HEADERS_END = 1 << 20  # behind the headers and notes of every vmcore here
DISK_MIB = 512
STRUCT_PAGE = 64
FIRST_RAM = 128 << 20  # where trial_vmcore's RAM begins
FIBMAP = 1  # linux/fs.h: the block of the disk where a block of the file stands
CHANGING_BYTES = 16 << 20


class PhysicalMemory:
    """Where physical addresses stand in a vmcore."""

    def __init__(self, vmcore: Path) -> None:
        with open(vmcore, "rb") as file:
            header = file.read(64)
            (table_at,) = struct.unpack_from("<Q", header, 32)
            size, count = struct.unpack_from("<HH", header, 54)
            file.seek(table_at)
            table = file.read(size * count)
        self._segments = []
        for at in range(0, len(table), size):
            kind, _, offset, _, address, length = struct.unpack_from("<IIQQQQ", table, at)
            if kind == 1:
                self._segments.append((address, length, offset))

    def file_offset(self, address: int) -> int:
        for start, length, offset in self._segments:
            if start <= address < start + length:
                return offset + address - start
        raise ValueError(f"no memory at {address:#x}")


class States:
    """A vmcore, and other contents of some of its pages and of all its struct pages."""

    def __init__(self, vmcore: Vmcore, folder: Path) -> None:
        memory = PhysicalMemory(vmcore.path)
        described = sum(size for _, size in vmcore.memmaps) // STRUCT_PAGE * PAGE
        # In the file. The lower half of that RAM stands there in one piece.
        self.regions = [(memory.file_offset(FIRST_RAM), min(CHANGING_BYTES, described // 2))]
        self.regions += [(memory.file_offset(at), size) for at, size in vmcore.memmaps]
        self.paths = [vmcore.path]
        for name, content in (("stamped", self._stamped), ("shared", self._shared), ("zero", self._zero)):
            path = folder / f"state-{name}"
            copy_sparse(vmcore.path, path)
            with open(path, "r+b") as file:
                for i, (offset, size) in enumerate(self.regions):
                    before = os.pread(file.fileno(), size, offset)
                    os.pwrite(file.fileno(), content(before, i > 0), offset)
            self.paths.append(path)

    @staticmethod
    def _stamped(before: bytes, _: bool) -> bytes:
        """Every word names its page: one that stands in another page's place is seen."""
        return b"".join(struct.pack("<Q", 0x5354 << 48 | page) * (PAGE // 8)
                        for page in range(len(before) // PAGE))

    @staticmethod
    def _shared(before: bytes, struct_pages: bool) -> bytes:
        """Pages that are equal, as long as nobody changes them; struct pages of other pages."""
        turned = 17 * STRUCT_PAGE
        if struct_pages:
            return before[-turned:] + before[:-turned]
        return (b"the same in every page. " * 171)[:PAGE] * (len(before) // PAGE)

    @staticmethod
    def _zero(before: bytes, _: bool) -> bytes:
        return bytes(len(before))


class Changer:
    """Puts contents of random states into random places of a file, until the end of the block."""

    def __init__(self, path: Path, states: States, seed: int) -> None:
        self._states, self._dice = states, random.Random(seed)
        self._stop = threading.Event()
        self._maps = contextlib.ExitStack()
        self._live = self._map(path)
        self._contents = [self._map(state) for state in states.paths]
        self.changes = 0
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def _map(self, path: Path) -> mmap.mmap:
        with open(path, "r+b") as file:
            return self._maps.enter_context(mmap.mmap(file.fileno(), 0))

    def _run(self) -> None:
        try:
            self._change()
        except Exception as error:  # in a thread nobody would see it
            self._error = error

    def _change(self) -> None:
        while not self._stop.is_set():
            offset, size = self._dice.choice(self._states.regions)
            content = self._dice.choice(self._contents)
            # A few pages at once, so that equal ones stand beside each other.
            length = min(size, PAGE * self._dice.choice((1, 1, 4, 64)))
            at = offset + self._dice.randrange(0, size - length + 1, PAGE)
            self._live[at:at + length] = content[at:at + length]
            self.changes += 1

    def __enter__(self) -> Changer:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        self._maps.close()
        if self._error is not None or self.changes == 0:
            raise Unable(f"the memory was not changed: {self._error}")


def copy_sparse(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


class Source:
    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(mib)
        self.folder = stage.folder / "source"
        self.disk = Disk(stage.folder / "source-disk", stage.folder / "source-mounted", DISK_MIB)
        self.target = self.folder / "dumps"

    def __enter__(self):
        self.folder.mkdir()
        self.states = States(self.vmcore, self.folder)
        self.disk.mount()
        try:
            copy_sparse(self.vmcore.path, self.disk.path / "vmcore")
            run_tool("sync", "--file-system", self.disk.path)
        except BaseException:
            self.disk.__exit__()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.disk.__exit__(*error)
        shutil.rmtree(self.folder)

    def trial(self, dice: random.Random) -> str:
        self.target.mkdir(exist_ok=True)
        empty(self.target)
        way = dice.choice((self._short, self._cut, self._unreadable, self._changing))
        shape = dice.choice(SHAPES)
        return f"{shape}, {way(dice, shape)}"

    def _command(self, vmcore: Path, shape: Shape) -> list[str]:
        return self.stage.command(vmcore, shape, self.target)

    def _seconds(self, shape: Shape) -> float:
        return self.stage.reference(self.vmcore, shape).seconds

    def _check(self, ended: Ended, shape: Shape, *states: Path) -> str:
        """Whatever happened to the vmcore, there is a dump, and no page of it is wrong."""
        expect(ended.status in (0, 3), f"status {ended.status}: {ended.text}")
        remains = look(self.target)
        dump = self._dump(remains, ended, shape)
        pages = self.stage.pages(dump, *states)
        expect(ended.status == 3 or pages["missing"] == 0,
               f"status 0, but {pages['missing']} pages are missing")
        expect(pages["right"] > 0, "no page is right")
        verify(self.stage, remains.folder, ended.status)
        return (f"status {ended.status}, {pages['right']} pages right, {pages['missing']} missing, "
                f"{pages['mixed']} mixed")

    def _check_refused(self, ended: Ended) -> str:
        """A file that is shorter than its headers say is no vmcore; the kernel never shows one."""
        expect("is truncated" in ended.text, f"not told what is wrong: {ended.text}")
        expect(look(self.target).folder is None, "refused, but something is left")
        return "refused"

    @staticmethod
    def _dump(remains: Remains, ended: Ended, shape: Shape) -> Path:
        dump = remains.sealed(shape) if ended.status == 0 else remains.incomplete
        expect(dump is not None, f"status {ended.status} and {sorted(remains.names)}")
        left = remains.names - BESIDE - {dump.name}
        expect(not left, f"left behind: {sorted(left)}")
        return dump

    def _cut_copy(self, dice: random.Random) -> tuple[Path, int, int]:
        copy = self.folder / "cut"
        copy_sparse(self.vmcore.path, copy)
        size = copy.stat().st_size
        return copy, size, dice.randrange(HEADERS_END, size)

    def _short(self, dice: random.Random, shape: Shape) -> str:
        copy, size, cut = self._cut_copy(dice)
        os.truncate(copy, cut)
        ended = self.stage.run(self._command(copy, shape))
        expect(ended.status == 1, f"of {size} bytes {cut} are there: status {ended.status}: {ended.text}")
        return f"{cut} of {size} bytes are there: " + self._check_refused(ended)

    def _cut(self, dice: random.Random, shape: Shape) -> str:
        copy, size, cut = self._cut_copy(dice)
        ended = self._disturbed(copy, dice, shape, lambda: os.truncate(copy, cut))
        if ended.status == 1:  # it was cut before it was opened
            return f"cut to {cut} of {size} bytes: " + self._check_refused(ended)
        return f"cut to {cut} of {size} bytes: " + self._check(ended, shape, copy, self.vmcore.path)

    def _unreadable(self, dice: random.Random, shape: Shape) -> str:
        disk = self.disk
        disk.unmount()
        disk.mount()  # nothing of the file is in the page cache
        limit = dice.randrange(self._headers_end(), 256 << 20) // PAGE * PAGE
        try:
            if dice.random() < 0.5:
                set_size_limit(disk.device, limit)
                ended = self._disturbed(disk.path / "vmcore", dice, shape,
                                        lambda: set_size_limit(disk.device, 0))
                how = f"EIO behind {limit} bytes, then no more"
            else:
                ended = self._disturbed(disk.path / "vmcore", dice, shape,
                                        lambda: set_size_limit(disk.device, limit))
                how = f"EIO behind {limit} bytes, later"
        finally:
            set_size_limit(disk.device, 0)
        return f"{how}: {self._check(ended, shape, self.vmcore.path)}"

    def _headers_end(self) -> int:
        """On the disk, so that EIO behind it spares the headers."""
        with open(self.disk.path / "vmcore", "rb") as file:
            blocks = [fcntl.ioctl(file, FIBMAP, struct.pack("<i", at // PAGE))
                      for at in range(0, HEADERS_END, PAGE)]
        return (max(struct.unpack("<i", block)[0] for block in blocks) + 1) * PAGE

    def _disturbed(self, vmcore: Path, dice: random.Random, shape: Shape,
                   disturb: Callable[[], None]) -> Ended:
        seconds = self._seconds(shape)
        with self.stage.start(self._command(vmcore, shape)) as running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(dice.uniform(0, seconds))
            disturb()
            return running.end()

    def _changing(self, dice: random.Random, shape: Shape) -> str:
        live = self.folder / "live"
        copy_sparse(self.vmcore.path, live)
        with Changer(live, self.states, dice.getrandbits(32)) as changer:
            ended = self.stage.run(self._command(live, shape))
        return f"{changer.changes} changes: " + self._check(ended, shape, *self.states.paths)
