"""The disk that a load works on: programs of this machine with their libraries, and files of this machine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.base import HarnessError, cache_dir, run_tool

GUEST = Path(__file__).resolve().parent / "guest"
MIB = 1024 * 1024
PROGRAMS = ("sort", "tar", "ar")
CONTENT_FOLDERS = ("bin", "include", "lib", "libexec", "sbin", "share")  # of /usr
FILES_MIB = 1200
LARGEST_MIB = 32  # one huge library must not be most of a load
ARCHIVES_MIB = 500
IMAGE_MIB = 6144  # sparse
COMPILED = ("containers", "algorithms")


def libraries(program: Path) -> list[Path]:
    """What the dynamic loader would load, and the loader."""
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", run_tool(["ldd", program], timeout_s=10))]


class Disk:
    """Gathers a folder, then makes an ext4 image of it."""

    def __init__(self, staging: Path) -> None:
        self._root = staging
        for folder in ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "content", "compile", "load",
                       "proc", "sys", "dev", "tmp"):
            (self._root / folder).mkdir(parents=True)
        for link in ("bin", "lib", "lib64", "sbin"):
            (self._root / link).symlink_to(f"usr/{link}")

    def _add(self, source: Path, name: str) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(source, target)

    def _add_libraries(self, program: Path) -> None:
        for library in libraries(program):
            # Where it is looked for: /lib and /usr/lib are one here, as on the host.
            folder = library.parent.as_posix().removeprefix("/usr").lstrip("/")
            self._add(library, f"usr/{folder}/{library.name}")

    def add_program(self, program: Path, name: str) -> None:
        self._add(program.resolve(), name)
        self._add_libraries(program.resolve())

    def add_python(self) -> None:
        """Debian's own, not another one that comes first in PATH."""
        python = Path("/usr/bin/python3").resolve()
        self.add_program(python, "usr/bin/python3")
        library = Path("/usr/lib") / python.name
        if not library.is_dir():
            raise HarnessError(f"no {library}: Debian's python3 is needed")
        shutil.copytree(library, self._root / "usr/lib" / python.name, symlinks=True, dirs_exist_ok=True)
        for module in (library / "lib-dynload").glob("*.so"):
            self._add_libraries(module)

    def add_compiler(self) -> None:
        compiler = Path(run_tool(["g++", "-print-prog-name=cc1plus"], timeout_s=10).strip())
        self.add_program(compiler, "compile/cc1plus")
        for name in COMPILED:
            run_tool(["g++", "-std=c++20", "-E", GUEST / f"{name}.cc", "-o", self._root / f"compile/{name}.ii"],
                     timeout_s=60)

    def add_source(self) -> None:
        """The compiler's source, which the toolchain is built from."""
        packages = sorted((cache_dir() / "sources").glob("gcc-*-source_*.deb"))
        if not packages:
            raise HarnessError("no gcc-*-source_*.deb in the cache: run toolchain/build first")
        target = self._root / "content/source"
        target.mkdir()
        tars = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(packages[-1])], stdout=subprocess.PIPE)
        inner = subprocess.Popen(["tar", "-xO", "--wildcards", "./usr/src/*/gcc-*.tar.xz"], stdin=tars.stdout,
                                 stdout=subprocess.PIPE)
        outer = subprocess.Popen(["tar", "-xJ", "-C", str(target)], stdin=inner.stdout)
        for pipe in (tars.stdout, inner.stdout):
            assert pipe is not None
            pipe.close()
        if any([outer.wait(), inner.wait(), tars.wait()]):
            raise HarnessError(f"{packages[-1]} cannot be unpacked (is the disk full?)")

    def add_files(self) -> None:
        """A sample of /usr, the same on every machine with the same files."""
        self._copy(_sample(_files([Path("/usr") / name for name in CONTENT_FOLDERS], ""), FILES_MIB), "files")
        self._copy(_sample(_files([Path("/usr/lib"), Path("/usr/local/lib")], ".a"), ARCHIVES_MIB), "archives",
                   flat=True)

    def _copy(self, paths: list[Path], folder: str, *, flat: bool = False) -> None:
        for number, path in enumerate(paths):
            name = f"{number:04}-{path.name}" if flat else path.relative_to("/usr").as_posix()
            self._add(path, f"content/{folder}/{name}")

    def add_lists(self) -> None:
        for name in ("files", "source"):
            folder = self._root / "content" / name
            found = sorted(path.relative_to(folder).as_posix() for path in _files([folder], "")
                           if path.is_file() and not path.is_symlink())
            # Names that are more than one line would be two files.
            (self._root / f"load/{name}.list").write_text("".join(f"{one}\n" for one in found if one.isprintable()))

    def write(self, image: Path) -> None:
        new = image.with_suffix(".new")
        new.unlink(missing_ok=True)
        run_tool(["mke2fs", "-q", "-t", "ext4", "-d", self._root, "-N", "400000", new, f"{IMAGE_MIB}M"],
                 timeout_s=600)
        new.rename(image)


def _files(folders: list[Path], suffix: str) -> Iterator[Path]:
    for folder in folders:
        for at, _, names in os.walk(folder):
            yield from (Path(at) / name for name in names if name.endswith(suffix))


def _sample(paths: Iterator[Path], mib: int) -> list[Path]:
    """In the order of a hash of the name, so that the choice depends on nothing else. Equal contents once."""
    chosen: list[Path] = []
    seen: set[bytes] = set()
    total = 0
    for path in sorted(paths, key=lambda path: hashlib.sha256(os.fsencode(path)).digest()):
        if not path.is_file() or path.is_symlink() or not 0 < path.stat().st_size <= LARGEST_MIB * MIB:
            continue
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if digest in seen:
            continue
        seen.add(digest)
        chosen.append(path)
        total += path.stat().st_size
        if total >= mib * MIB:
            break
    return chosen


def make_disk(image: Path) -> None:
    """Takes about a minute and 3 GB beside the image, for as long as it lasts."""
    staging = image.with_suffix(".staging")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        disk = Disk(staging)
        disk.add_python()
        for name in PROGRAMS:
            disk.add_program(Path(f"/usr/bin/{name}"), f"usr/bin/{name}")
        disk.add_compiler()
        disk.add_source()
        disk.add_files()
        disk.add_lists()
        disk.write(image)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def copy_disk(image: Path, copy: Path) -> None:
    """One guest's own, with the program that fills its memory."""
    run_tool(["cp", "--sparse=always", image, copy], timeout_s=300)
    run_tool(["debugfs", "-w", "-R", f"write {GUEST}/fill.py /load/fill.py", copy], timeout_s=60)
    if "fill.py" not in run_tool(["debugfs", "-R", "ls /load", copy], timeout_s=60):
        raise HarnessError(f"{copy}: the guest's program could not be put there")
