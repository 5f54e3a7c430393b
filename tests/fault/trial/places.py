"""full and gone: the target has no room, or goes away in the middle; then it is well again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from trial.interrupted import finish
from trial.remains import WHOLE, PagesSeen, check_incomplete, check_remains, look, verify
from trial.stage import Disk, Ended, Reference, Shape, Stage, Unable, empty, expect, run_tool, tmpfs

SHAPES = [Shape(), Shape(compress="zstd"), Shape(compress="zlib"), Shape("stream", "zstd"),
          Shape("stream", "lz4"), Shape("elf")]
SMALL_DISK_MIB = 256
DISK_MIB = 1024


def free_bytes(place: Path) -> int:
    status = os.statvfs(place)
    return status.f_bavail * status.f_bsize


class Full:
    """A disk with a ballast on it. The dump is larger than what that leaves."""

    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(mib)
        self._mounts = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as mounts:
            folder = self.stage.folder
            disk = mounts.enter_context(Disk(folder / "small-disk", folder / "small", SMALL_DISK_MIB))
            memory = mounts.enter_context(tmpfs(folder / "tmpfs", SMALL_DISK_MIB << 10))
            self.places = {"ext4": disk.path, "tmpfs": memory}
            self._mounts = mounts.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._mounts.__exit__(*error)

    @staticmethod
    def _free_bytes(dice: random.Random, reference: Reference) -> int:
        """From a block to almost enough; often about as much as the head of the file takes."""
        largest = reference.room * 97 // 100
        if dice.random() < 0.5:
            return dice.randrange(4096, largest)
        return min(largest, int(4096 * 2 ** dice.uniform(0, 10)))

    @staticmethod
    def _put_ballast(place: Path, free: int) -> Path:
        ballast = place / "ballast"
        with open(ballast, "wb") as file:
            for for_its_own_blocks in range(0, 1 << 20, 16 << 10):
                size = max(4096, free_bytes(place) - free - for_its_own_blocks)
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, size)
                    return ballast
        raise Unable(f"{place}: no room for a ballast that leaves {free} bytes")

    def trial(self, dice: random.Random) -> str:
        reference = self.stage.reference(self.vmcore, dice.choice(self.stage.of_formats(SHAPES)))
        kind = dice.choice(sorted(self.places))
        place = self.places[kind]
        empty(place)
        ballast = self._put_ballast(place, self._free_bytes(dice, reference))
        free = free_bytes(place)
        text = f"{reference.shape} of {reference.room} bytes on {kind} with {free} free"
        target = place / "dumps"
        try:
            ended = self.stage.run(self.stage.command(self.vmcore.path, reference.shape, target))
            text += f": status {ended.status}, {self._check(ended, target, reference)}"
        finally:
            ballast.unlink()
        finish(self.stage, target, reference, 2)
        return text

    def _check(self, ended: Ended, target: Path, reference: Reference) -> str:
        expect(ended.status in (1, 3), f"status {ended.status}: {ended.text}")
        expect("No space left on device" in ended.text, f"not told what is wrong: {ended.text}")
        remains = look(target)
        if ended.status == 1:
            expect(remains.folder is None, f"refused, but left {sorted(remains.names)}")
            return "refused"
        expect(remains.incomplete is not None, f"status 3 with {sorted(remains.names)}")
        expect(not any(name.endswith(".new") for name in remains.names), f"left {sorted(remains.names)}")
        verify(self.stage, remains.folder, 3)
        return check_incomplete(self.stage, remains.incomplete, reference.shape, self.vmcore, PagesSeen())


# include/uapi/linux: ext4's and xfs' way to stop a file system at once.
EXT4_IOC_SHUTDOWN = 0x8004587D
FLUSH_LOG, NO_LOG_FLUSH = 1, 2
LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05
LOOP_INFO64_BYTES = 232
SIZE_LIMIT_AT = 32  # lo_sizelimit in struct loop_info64


def set_size_limit(device: str, limit: int) -> None:
    """Blocks of the loop device behind `limit` fail with EIO from now on; 0: no limit."""
    with open(device, "rb") as file:
        info = bytearray(LOOP_INFO64_BYTES)
        fcntl.ioctl(file, LOOP_GET_STATUS64, info)
        struct.pack_into("<Q", info, SIZE_LIMIT_AT, limit)
        fcntl.ioctl(file, LOOP_SET_STATUS64, info)


def shut_down(place: Path, flag: int) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("<I", flag))
    finally:
        os.close(descriptor)


class Gone:
    """The file system fails under the capture. Mounted again, it is finished there."""

    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(mib)
        folder = stage.folder
        self.disk = Disk(folder / "gone-disk", folder / "gone", DISK_MIB, "errors=remount-ro")

    def __enter__(self):
        self.disk.mount()
        return self

    def __exit__(self, *error) -> None:
        self.disk.__exit__(*error)

    def _ways(self, dice: random.Random) -> dict[str, Callable[[], None]]:
        disk = self.disk
        # In front of the limit stands at least what mounting the disk again reads.
        limit = dice.randrange(64 << 20, 512 << 20) // 4096 * 4096
        return {
            "shut down, its journal not flushed": lambda: shut_down(disk.path, NO_LOG_FLUSH),
            "shut down, its journal flushed": lambda: shut_down(disk.path, FLUSH_LOG),
            f"device fails behind {limit >> 20} MiB": lambda: set_size_limit(disk.device, limit),
            "unmounted lazily": lambda: disk.unmount(lazily=True),
        }

    def _come_back(self) -> None:
        if self.disk.device:
            set_size_limit(self.disk.device, 0)
            self.disk.unmount()
        self.disk.mount()

    def trial(self, dice: random.Random) -> str:
        empty(self.disk.path)
        run_tool("sync", "--file-system", self.disk.path)
        reference = self.stage.reference(self.vmcore, dice.choice(self.stage.of_formats(SHAPES)))
        target = self.disk.path / "dumps"
        ways = self._ways(dice)
        way = dice.choice(list(ways))
        with self.stage.start(self.stage.command(self.vmcore.path, reference.shape, target)) as running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(dice.uniform(0, reference.seconds))
            over = running.is_over()
            ways[way]()
            ended = running.end()
        self._come_back()
        expect(ended.status in (0, 1, 3), f"{way}: status {ended.status}: {ended.text}")
        found = check_remains(self.stage, target, reference, PagesSeen())
        # Whoever was told that the dump is complete may pull the plug.
        expect(ended.status != 0 or found == WHOLE, f"{way}: status 0, but there is {found}")
        finish(self.stage, target, reference, 2)
        when = "after its end" if over else f"status {ended.status}"
        return f"{reference.shape}, {way}, {when}: {found}"
