"""What all trials stand on: the programs, a folder, small disks, vmcores, and reports of failure."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A capture or a check that takes longer hangs.
TIME_LIMIT_S = 180


class Failure(Exception):
    """The trial found what must not be."""


class Unable(Exception):
    """The trial could not be carried out: no rights, no tool, no space."""


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Failure(what)


def run_tool(*command: str | Path) -> str:
    """A program that has to work; it is not what is tested."""
    words = [str(word) for word in command]
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=env, timeout=TIME_LIMIT_S, check=False)
    except FileNotFoundError:
        raise Unable(f"{words[0]} is missing; toolchain/install-packages and "
                     "tests/qemu/install-packages install what the trials need") from None
    except subprocess.TimeoutExpired:
        raise Unable(f"{' '.join(words)}: no end after {TIME_LIMIT_S} s") from None
    if done.returncode != 0:
        raise Unable(f"{' '.join(words)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclass(frozen=True)
class Ended:
    """How a run of dumpwright ended. A negative status is the number of a signal."""

    status: int
    text: str
    seconds: float


class Running:
    """A run of dumpwright; leaving the block kills what is still there."""

    def __init__(self, command: list[str], log: Path, in_child=None) -> None:
        self._log = log
        self._started = time.monotonic()
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, preexec_fn=in_child)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def text(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def end(self) -> Ended:
        """Waits for its end. One that does not come is a failure of the trial."""
        try:
            status = self.process.wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"no end after {TIME_LIMIT_S} s") from None
        return Ended(status, self.text(), time.monotonic() - self._started)

    def kill_after(self, seconds: float) -> Ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.process.kill()
        return self.end()


@dataclass(frozen=True)
class Shape:
    """Options that shape the bytes of a dump."""

    format: str = "kdump"
    compress: str = "none"
    level: int = 1

    @property
    def file(self) -> str:
        if self.format == "stream":
            return "vmcore.lz4" if self.compress.startswith("lz4") else "vmcore.zst"
        return {"kdump": "vmcore", "elf": "vmcore.elf"}[self.format]

    @property
    def options(self) -> list[str]:
        compress = [] if self.format == "elf" else ["--compress", self.compress]
        return ["-d", str(self.level), "--format", self.format, *compress]

    def __str__(self) -> str:
        return f"{self.format}-{self.compress}-d{self.level}"


@dataclass(frozen=True)
class Vmcore:
    path: Path
    memmaps: tuple[tuple[int, int], ...]  # physical address and bytes of struct pages


@dataclass(frozen=True)
class Reference:
    """The dump of an undisturbed run."""

    shape: Shape
    vmcore: Vmcore
    directory: Path  # the target; it holds one folder
    seconds: float

    @property
    def folder(self) -> Path:
        return next(self.directory.iterdir())

    @property
    def file(self) -> Path:
        return self.folder / self.shape.file

    @property
    def bytes(self) -> int:
        return self.file.stat().st_size

    @property
    def room(self) -> int:
        """What it takes of a disk: an ELF core is sparse."""
        status = self.file.stat()
        return min(status.st_size, status.st_blocks * 512)


class Disk:
    """An ext4 on a loop device over a file, mounted while it exists."""

    def __init__(self, image: Path, mount_point: Path, mib: int, options: str = "") -> None:
        self.image, self.path, self.device = image, mount_point, ""
        self._options = ",".join(filter(None, ["noatime", options]))
        with open(image, "wb") as file:
            file.truncate(mib << 20)
        run_tool("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
                 "lazy_itable_init=0,lazy_journal_init=0", image)
        self.path.mkdir(exist_ok=True)

    def mount(self) -> None:
        self.device = run_tool("losetup", "--find", "--show", self.image).strip()
        try:
            run_tool("mount", "-t", "ext4", "-o", self._options, self.device, self.path)
        finally:
            # From now on the device goes with the file system, however this program ends.
            run_tool("losetup", "--detach", self.device)

    def unmount(self, *, lazily: bool = False) -> None:
        run_tool("umount", *(["--lazy"] if lazily else []), self.path)
        self.device = ""

    def __enter__(self) -> Disk:
        self.mount()
        return self

    def __exit__(self, *_) -> None:
        if self.device:
            self.unmount(lazily=True)
        self.image.unlink(missing_ok=True)


@contextlib.contextmanager
def tmpfs(mount_point: Path, kib: int) -> Iterator[Path]:
    mount_point.mkdir(exist_ok=True)
    run_tool("mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", mount_point)
    try:
        yield mount_point
    finally:
        run_tool("umount", "--lazy", mount_point)


def empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == "lost+found":
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


@dataclass
class Stage:
    """Programs and a folder of the trials' own; vmcores and references are made once."""

    executable: Path
    trial_vmcore: Path
    read_dump: Path
    folder: Path
    seed: int
    formats: frozenset[str] = frozenset()  # empty: all
    _vmcores: dict[int, Vmcore] = field(default_factory=dict)
    _references: dict[tuple[Path, Shape], Reference] = field(default_factory=dict)
    _runs: int = 0
    notes: dict[str, float] = field(default_factory=dict)  # the largest of what was seen

    def note(self, name: str, value: float) -> None:
        self.notes[name] = max(value, self.notes.get(name, value))

    def random(self, kind: str, number: int) -> random.Random:
        """A trial's own, so that it can be repeated without those before it."""
        return random.Random(f"{self.seed} {kind} {number}")

    def of_formats(self, shapes: list[Shape]) -> list[Shape]:
        """Those that this run is about."""
        return [shape for shape in shapes if not self.formats or shape.format in self.formats]

    def vmcore(self, mib: int) -> Vmcore:
        if mib not in self._vmcores:
            path = self.folder / f"vmcore-{mib}"
            lines = run_tool(self.trial_vmcore, str(mib), str(self.seed), path).splitlines()
            memmaps = tuple((int(at), int(size)) for _, at, size in map(str.split, lines))
            self._vmcores[mib] = Vmcore(path, memmaps)
        return self._vmcores[mib]

    def command(self, vmcore: Path, shape: Shape, target: Path | str, threads: int = 2) -> list[str]:
        return [str(self.executable), "capture", *shape.options, "--threads", str(threads),
                "--source", str(vmcore), str(target)]

    def start(self, command: list[str], in_child=None) -> Running:
        self._runs += 1
        return Running(command, self.folder / f"log-{self._runs % 16}", in_child)

    def run(self, command: list[str]) -> Ended:
        with self.start(command) as running:
            return running.end()

    def reference(self, vmcore: Vmcore, shape: Shape) -> Reference:
        if (vmcore.path, shape) not in self._references:
            target = self.folder / f"reference-{vmcore.path.name}-{shape}"
            ended = self.run(self.command(vmcore.path, shape, target))
            expect(ended.status == 0, f"undisturbed run: status {ended.status}: {ended.text}")
            self._references[vmcore.path, shape] = Reference(shape, vmcore, target, ended.seconds)
        return self._references[vmcore.path, shape]

    def pages(self, dump: Path, *vmcores: Path) -> dict[str, int]:
        """What read_dump counts. A wrong page, or a dump that does not open, is a failure."""
        done = subprocess.run([self.read_dump, dump, *vmcores], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
        expect(done.returncode == 0, f"{dump.name} read with libkdumpfile: exit {done.returncode}: "
               f"{(done.stdout + done.stderr).strip()}")
        words = done.stdout.split()
        return dict(zip(words[::2], map(int, words[1::2])))
