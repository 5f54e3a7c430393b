"""Runs inside the guest, as root of the load's disk: real programs work on real files until the memory has
the load's mix, and then wait with all they have for the panic.

    fill.py LOAD

Every step ends at a size, not after a time, so that a slow guest gets the same mix. Each process that holds memory
tells by a pipe when it is done; this one ends when all are, and they stay.
"""

from __future__ import annotations

import ast
import os
import random
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

MIB = 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")
FILES = Path("/content/files")  # of the host's /usr
SOURCE = Path("/content/source")  # the compiler's
# The regular files below these, found on the host: to look for them takes a guest a minute.
LISTS = {FILES: Path("/load/files.list"), SOURCE: Path("/load/source.list")}
keep: list[object] = []  # what a process holds until the panic


def resident(pid: int | str = "self") -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def free_memory() -> int:
    return int(Path("/proc/meminfo").read_text().partition("MemFree:")[2].split()[0]) * 1024


def say(text: str) -> None:
    print(f"load: {text}, {free_memory() // MIB} MiB free", flush=True)


def files_of(folder: Path, seed: int, suffixes: tuple[str, ...] = ()) -> list[str]:
    """In an order that is random, and always the same."""
    names = LISTS[folder].read_text().splitlines()
    found = [f"{folder}/{name}" for name in names if name.endswith(suffixes or "")]
    random.Random(seed).shuffle(found)
    return found


TEXT = (".c", ".cc", ".h", ".cpp", ".def", ".md", ".texi", ".ads", ".adb", ".go", ".d", ".f90", ".txt")


def lines(seed: int) -> Iterator[tuple[str, int, str]]:
    for path in files_of(SOURCE, seed, TEXT):
        for number, line in enumerate(Path(path).read_text(errors="replace").splitlines()):
            yield path, number, line


def hold(name: str, work: Callable[[], None]) -> tuple[str, int]:
    """A process that does the work and keeps the memory. Returns the pipe that tells when it is done."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            os.close(read_end)
            work()
            os.write(write_end, b"+")
            os.close(write_end)
            while True:
                signal.pause()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write_end)
    return name, read_end


def wait_for(*holders: tuple[str, int]) -> None:
    for name, pipe in holders:
        if os.read(pipe, 1) != b"+":
            sys.exit(f"load: {name} failed")
        os.close(pipe)
        say(f"{name} done")


# Anonymous memory of programs.


def word_index(mib: int, seed: int) -> None:
    """A search engine's index: of each word the places where it stands."""
    index: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    keep.append(index)
    for count, (path, number, line) in enumerate(lines(seed)):
        for word in line.split():
            index[word].append((path, number))
        if count % 4096 == 0 and resident() >= mib * MIB:
            return


def syntax_trees(mib: int) -> None:
    """What an editor's language server has in memory."""
    for path in files_of(FILES, 5, (".py",)) + sorted(map(str, Path("/usr/lib").rglob("*.py"))):
        try:
            text = Path(path).read_text()
            keep.append((text, ast.parse(text)))
        except (SyntaxError, UnicodeDecodeError, RecursionError, ValueError):
            continue
        if resident() >= mib * MIB:
            return


def sessions(mib: int, seed: int) -> None:
    """A key-value store: records with names, numbers and tokens."""
    chance = random.Random(seed)
    words = sorted({word for _, (_, _, line) in zip(range(20000), lines(seed)) for word in line.split()})
    store: dict[str, bytes] = {}
    keep.append(store)
    for number in range(1 << 30):
        chosen = chance.choices(words, k=6)
        store[f"session:{chance.getrandbits(64):016x}"] = (
            f'{{"id":{number},"user":"{chosen[0]}.{chosen[1]}","created":{1700000000 + number * 3},'
            f'"token":"{chance.getrandbits(256):064x}","cart":[{chance.randrange(1000)},{chance.randrange(1000)}],'
            f'"last":"/{chosen[2]}/{chosen[3]}?q={chosen[4]}+{chosen[5]}","admin":false}}').encode()
        if number % 1024 == 0 and resident() >= mib * MIB:
            return


def database(path: str, mib: int, seed: int) -> None:
    """Tables and indices of text, in memory or in a file, until it is that large."""
    base = sqlite3.connect(path, isolation_level=None)
    keep.append(base)
    base.execute("pragma journal_mode=off")
    base.execute("pragma synchronous=off")
    base.execute("create table line(id integer primary key, file text, number integer, text text)")
    base.execute("pragma temp_store=memory")
    base.execute("create table word(word text, line integer)")
    source = enumerate(lines(seed))
    # The indices, made at the end since that is quicker, take the other half.
    while base.execute("pragma page_count").fetchone()[0] * PAGE < mib * MIB // 2:
        rows = [(key, *row) for _, (key, row) in zip(range(4096), source)]
        if not rows:
            raise EOFError("there is not enough text for a database of this size")
        base.execute("begin")
        base.executemany("insert into line values(?, ?, ?, ?)", rows)
        base.executemany("insert into word values(?, ?)",
                         [(word, row[0]) for row in rows for word in set(row[3].split())])
        base.execute("commit")
    base.execute("create index word_index on word(word)")
    base.execute("create index text_index on line(text)")
    base.execute("delete from line where id % 37 = 5")


def sorting(mib: int, seed: int) -> None:
    """sort with half its input."""
    program = subprocess.Popen(["/usr/bin/sort", "-S", f"{4 * mib}M"], stdin=subprocess.PIPE, text=True)
    keep.append(program)
    assert program.stdin is not None
    for count, (_, _, line) in enumerate(lines(seed)):
        program.stdin.write(line + "\n")
        if count % 8192 == 0 and resident(program.pid) >= mib * MIB:
            return


def compiling(name: str) -> None:
    """A compiler that has begun to write and cannot go on, since nobody reads."""
    read_end, write_end = os.pipe()
    compiler = subprocess.Popen(["/compile/cc1plus", "-fpreprocessed", f"/compile/{name}.ii", "-quiet", "-std=c++20",
                                 "-O1", "-g", "-o", "-"], stdout=write_end)
    keep.append(compiler)
    os.close(write_end)
    if not os.read(read_end, 1):
        raise EOFError("the compiler ended early")
    keep.append(read_end)


# Files.


def read_files(folder: Path, seed: int, mib: int, leave_free_mib: int) -> None:
    """Page cache: reads whole files until so much is read, or memory gets short."""
    total = 0
    for path in files_of(folder, seed):
        with open(path, "rb", buffering=0) as file:
            while data := file.read(MIB):
                total += len(data)
        if total >= mib * MIB or free_memory() <= leave_free_mib * MIB:
            break
    say(f"read {total // MIB} MiB of {folder}")


def look_at_all(folder: Path) -> None:
    """Inodes and directory entries."""
    count = 0
    for at, folders, names in os.walk(folder):
        for name in (*folders, *names):
            os.lstat(os.path.join(at, name))
            count += 1
    say(f"looked at {count} files")


def object_files(mib: int) -> None:
    """tmpfs: what a build leaves there, the members of the host's archives."""
    total = 0
    for number, archive in enumerate(sorted(Path("/content/archives").iterdir())):
        with open(archive, "rb") as file:
            if file.read(8) != b"!<arch>\n":  # libm.a is a linker script
                continue
        target = Path(f"/tmp/objects/{number}")
        target.mkdir(parents=True)
        subprocess.run(["/usr/bin/ar", "x", archive], cwd=target, check=True)
        total += archive.stat().st_size
        # Its copy in the page cache is of no use to a build.
        with open(archive, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if total >= mib * MIB:
            break
    say(f"unpacked {total // MIB} MiB of object files")


def tar_in_tmpfs(mib: int, seed: int) -> None:
    """tmpfs: a backup that is being made."""
    total = 0
    tar = subprocess.Popen(["/usr/bin/tar", "-cf", "/tmp/backup.tar", "-T", "-"], stdin=subprocess.PIPE, text=True)
    assert tar.stdin is not None
    for path in files_of(SOURCE, seed):
        tar.stdin.write(path + "\n")
        total += os.stat(path).st_size
        if total >= mib * MIB:
            break
    tar.stdin.close()
    if tar.wait() != 0:
        sys.exit("load: tar failed")
    say(f"packed {total // MIB} MiB into a file in tmpfs")


def write_report(mib: int, seed: int) -> None:
    """Dirty page cache: a table that a program writes."""
    total = 0
    with open("/report.csv", "w", encoding="utf-8") as file:
        for path, number, line in lines(seed):
            total += file.write(f'{path.rpartition("/")[2]};{number};{len(line)};"{line}"\n')
            if total >= mib * MIB:
                break
    say(f"wrote {total // MIB} MiB")


def mixed() -> None:
    look_at_all(Path("/content"))
    wait_for(hold("index", lambda: word_index(450, 1)), hold("sort", lambda: sorting(250, 2)))
    tar_in_tmpfs(150, 3)
    write_report(80, 4)
    read_files(FILES, 1, 900, 300)


def database_server() -> None:
    wait_for(hold("lines", lambda: database(":memory:", 450, 1)), hold("lines 2", lambda: database(":memory:", 450, 2)))
    wait_for(hold("sessions", lambda: sessions(500, 3)), hold("file", lambda: database("/data.sqlite", 450, 4)))
    read_files(FILES, 2, 350, 300)


def build() -> None:
    wait_for(hold("compiler", lambda: compiling("containers")), hold("compiler 2", lambda: compiling("algorithms")))
    wait_for(hold("trees", lambda: syntax_trees(250)))
    object_files(350)
    read_files(SOURCE, 1, 700, 300)
    read_files(FILES, 3, 150, 300)


if __name__ == "__main__":
    {"mixed": mixed, "database": database_server, "build": build}[sys.argv[1]]()
