"""Gets the saved dump off the guest's disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness.base import ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check
from harness.formats import plain_stream
from harness.initrds import fetch_peer
from harness.mounted import copy_crash
from harness.servers import Server

DUMP_FOLDER = re.compile(r"[A-Za-z0-9._-]{1,64}-\d{8}T\d{6}Z")
GUEST_NAME = "guest.example"  # set by guest/init-first
STREAM = "vmcore.zst"


def extract(file_system: str, dump_disk: Path, work: Path) -> Path:
    """Copies /crash of the disk into the work folder and returns it; the file system must be sound."""
    saved = work / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    saved.mkdir()
    if file_system == "none":
        _take_off(dump_disk, saved / "crash")
    elif file_system not in ("ext4", "root"):
        copy_crash(file_system, dump_disk, saved)
    else:
        _extract_ext4(dump_disk, saved)
    if not (saved / "crash").is_dir():
        raise HarnessError(f"the dump's disk has no /crash ({dump_disk})")
    return saved / "crash"


def _take_off(dump_disk: Path, crash_folder: Path) -> None:
    """From a disk without a file system. What `verify` says of the disk has to hold for the files too."""
    crash_folder.mkdir()
    executable = ROOT / "build/static/dumpwright"
    for arguments in (["verify", f"raw:{dump_disk}"], ["convert", f"raw:{dump_disk}", crash_folder]):
        run_tool([executable, *arguments], timeout_s=300)
    for folder in crash_folder.iterdir():
        run_tool([executable, "verify", folder], timeout_s=300)


def _extract_ext4(dump_disk: Path, saved: Path) -> None:
    """Without mounting, for which one has to be root."""
    # Replays the file system's journal, which debugfs would ignore. 1: it did so.
    run_tool(["e2fsck", "-p", dump_disk], timeout_s=120, ok=(0, 1))
    run_tool(["debugfs", "-R", f"rdump /crash {saved}", dump_disk], timeout_s=300)


def _contents(folder: Path) -> str:
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return ", ".join(files) or "nothing"


def find_dump(crash_folder: Path) -> Path:
    """The one finished dump that dumpwright left, by its specified names."""
    dumps = [path for name in ("vmcore", STREAM) for path in crash_folder.glob(f"*/{name}")
             if DUMP_FOLDER.fullmatch(path.parent.name)]
    unfinished = list(crash_folder.rglob("*.incomplete"))
    if len(dumps) != 1 or unfinished:
        raise HarnessError(f"expected one HOST-TIME/vmcore and nothing incomplete, found: "
                           f"{_contents(crash_folder)}")
    return dumps[0]


def check_name(cell: Cell, dump: Path) -> Check:
    """The folder has to bear the crashed guest's name."""
    name = dump.parent.name
    wrong = cell.saver == "dumpwright" and not name.startswith(GUEST_NAME + "-2")
    return Check("name", [f"the dump's folder is {name}, expected {GUEST_NAME}-TIME"] if wrong else [], name)


def raw_vmcore(crash_folder: Path) -> Path:
    elf = crash_folder / "raw/vmcore.elf"
    if not elf.exists():
        raise HarnessError(f"expected raw/vmcore.elf, found: {_contents(crash_folder)}")
    return elf


def convert_raw(crash_folder: Path, cell: Cell) -> Path:
    """The raw copy of /proc/vmcore, filtered and compressed on the host by the newest makedumpfile."""
    elf = raw_vmcore(crash_folder)
    dump = elf.with_name("vmcore")
    run_tool([fetch_peer("makedumpfile"), "--message-level", "4", "-z", "-d", str(cell.dump_level),
              elf, dump], timeout_s=300)
    return dump


def get_dump(cell: Cell, dump_disk: Path, server: Server | None, work: Path) -> Path:
    """The dump, a stream decompressed; the copied vmcore itself if the cell compares."""
    folder = server.crash_folder if server and not cell.fallback else extract(cell.file_system, dump_disk, work)
    if cell.compare:
        return raw_vmcore(folder)
    if cell.saver == "raw":
        return convert_raw(folder, cell)
    dump = find_dump(folder)
    return plain_stream(dump, "zstd", dump.with_name("vmcore")) if dump.name == STREAM else dump


def saved_bytes(dump: Path) -> int:
    """What it took on the disk: a stream was decompressed beside itself."""
    stream = dump.with_name(STREAM)
    return (stream if stream.exists() else dump).stat().st_size
