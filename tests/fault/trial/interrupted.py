"""kill and oom: the capture ends by SIGKILL, and the same command finishes what it began."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trial.remains import PagesSeen, check_finished, check_remains, look
from trial.stage import Disk, Ended, Failure, Reference, Shape, Stage, Unable, empty, expect

# Mostly what is written fastest: the most moments within a checkpoint.
SHAPES = [Shape()] * 4 + [Shape(compress="zstd")] * 2 + [
    Shape(compress="zlib"), Shape("stream", "zstd"), Shape("stream", "lz4"), Shape("elf")]
DISK_MIB = 2048
# Of a machine where other work slows the run down, or ends it before its moment comes.
MOMENTS = 20


def finish(stage: Stage, target: Path, reference: Reference, threads: int) -> None:
    """The same command again: it finishes the dump, and a third time there is nothing to do."""
    command = stage.command(reference.vmcore.path, reference.shape, target, threads)
    as_found = look(target).sealed(reference.shape) is not None
    for what in ("resumed run", "run after all is saved"):
        ended = stage.run(command)
        expect(ended.status == 0, f"{what}: status {ended.status}: {ended.text}")
        check_finished(stage, target, reference, as_found=as_found)


class Interrupted:
    """Trials that only differ in how the capture is ended."""

    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(mib)
        self.disk = Disk(stage.folder / "disk", stage.folder / "mounted", DISK_MIB)

    def __enter__(self):
        self.disk.mount()
        return self

    def __exit__(self, *error) -> None:
        self.disk.__exit__(*error)

    def cut_off(self, command: list[str], dice: random.Random, seconds: float) -> Ended:
        """A run that is ended at a random moment of `seconds`. Status 0: it was over by then."""
        raise NotImplementedError

    def trial(self, dice: random.Random) -> str:
        empty(self.disk.path)
        reference = self.stage.reference(self.vmcore, dice.choice(self.stage.of_formats(SHAPES)))
        target = self.disk.path / "dumps"
        times = dice.choice((1, 1, 1, 2, 3))
        lines = [f"{reference.shape}, {times} times"]
        seen = PagesSeen()
        for _ in range(times):
            threads = dice.choice((2, 2, 2, 1, 3, 8))
            command = self.stage.command(self.vmcore.path, reference.shape, target, threads)
            ended = self._cut_off_in_time(command, dice, reference, target, lines)
            if ended is None:
                break
            found = check_remains(self.stage, target, reference, seen)
            lines.append(f"{threads} threads, after {ended.seconds:.3f} s: {found}")
        finish(self.stage, target, reference, dice.choice((1, 2, 2, 5)))
        return "; ".join(lines)

    def _cut_off_in_time(self, command: list[str], dice: random.Random, reference: Reference,
                         target: Path, lines: list[str]) -> Ended | None:
        seconds = reference.seconds
        for _ in range(MOMENTS):
            ended = self.cut_off(command, dice, seconds)
            if ended.status != 0:
                return ended
            # The undisturbed run had less of the machine.
            seconds = min(seconds, ended.seconds)
            check_finished(self.stage, target, reference)
            if len(lines) > 1:  # the rest of a dump takes less time than a whole one
                lines.append("finished")
                return None
            empty(self.disk.path)
        raise Unable(f"{MOMENTS} runs were over before they could be ended")


class Kill(Interrupted):
    def cut_off(self, command: list[str], dice: random.Random, seconds: float) -> Ended:
        with self.stage.start(command) as running:
            ended = running.kill_after(dice.uniform(0, seconds))
        expect(ended.status in (0, -9), f"status {ended.status} before the kill: {ended.text}")
        return ended


LIMIT_BYTES = 112 << 20
# Most of what the limit leaves is taken before the capture begins, so that the rest goes fast.
HOG = """
import sys, time
kept = [bytearray(b"x" * (1 << 20)) for _ in range(60)]
print("ready", flush=True)
sys.stdin.readline()
while True:
    kept.append(bytearray(b"x" * (1 << 20)))
    time.sleep(0.0002)
"""


class MemoryCgroup:
    """A memory cgroup, version 1 or 2, with a limit. Removed at the end of the block."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        root, self._version_2 = self._find()
        self.folder = root / name
        if self._version_2:
            (root / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir()
        limit = "memory.max" if self._version_2 else "memory.limit_in_bytes"
        (self.folder / limit).write_text(str(limit_bytes))

    @staticmethod
    def _find() -> tuple[Path, bool]:
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, folder, kind, options = line.split()[:4]
            root = Path(folder)
            if kind == "cgroup" and "memory" in options.split(","):
                return root, False
            controllers = root / "cgroup.controllers"
            if kind == "cgroup2" and "memory" in controllers.read_text().split():
                return root, True
        raise Unable("no mounted cgroup hierarchy has the memory controller")

    def enter(self) -> None:
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def killed(self) -> int:
        name = "memory.events" if self._version_2 else "memory.oom_control"
        words = (self.folder / name).read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def __enter__(self) -> MemoryCgroup:
        return self

    def __exit__(self, *_) -> None:
        # The last process of it may still be on its way out.
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.05)
        raise Unable(f"cannot remove {self.folder}")


@contextlib.contextmanager
def hog(cgroup: MemoryCgroup) -> Iterator[subprocess.Popen]:
    """Eats memory once it is told to."""
    process = subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, preexec_fn=cgroup.enter)
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class Oom(Interrupted):
    """In a cgroup that another process fills up; of the two the OOM killer takes the capture."""

    def cut_off(self, command: list[str], dice: random.Random, seconds: float) -> Ended:
        name = f"dumpwright-trial-{os.getpid()}"

        def enter() -> None:
            cgroup.enter()
            Path("/proc/self/oom_score_adj").write_text("1000")

        with MemoryCgroup(name, LIMIT_BYTES) as cgroup, hog(cgroup) as eater:
            with self.stage.start(command, enter) as running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.process.wait(dice.uniform(0, seconds))
                eater.stdin.write(b"go\n")
                eater.stdin.flush()
                ended = running.end()
            killed = cgroup.killed()
        if ended.status != 0 and (ended.status != -9 or killed == 0):
            raise Failure(f"status {ended.status}, killed by the OOM killer: {killed}: {ended.text}")
        return ended
