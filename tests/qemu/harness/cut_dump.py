"""Judges what a power cut left of a dump."""

from __future__ import annotations

import enum
import json
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import HarnessError, run_tool
from harness.checks import RamTruth, ramcheck
from harness.kdump import read_bitmaps
from harness.saved import DUMP_FOLDER

_STAGED, _INCOMPLETE, _SEALED = "vmcore.new", "vmcore.incomplete", "vmcore"
_SIGNATURE = b"KDUMP   "
_STATUS_INCOMPLETE = 8
_DESCRIPTOR = struct.Struct("<QIIQ")  # offset, size, flags, page flags
_UNSETTLED = (1, 0x20)  # size and flags of a descriptor that is on its way, see capture/format/kdump.md


class State(enum.Enum):
    NONE = "no dump"
    INCOMPLETE = "incomplete"
    SEALED = "sealed"


@dataclass
class CutDump:
    """What there is, and what is wrong with it."""

    state: State
    kept: int = 0  # pages that the finished dump has
    described: int = 0  # of these, with a descriptor
    described_end: int = 0  # of the data that descriptors point to, or of the table, as an offset in the file
    complaints: list[str] = field(default_factory=list)


def _signature(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(len(_SIGNATURE))


def find_state(crash: Path) -> tuple[State, Path | None, list[str]]:
    """The dump in a folder that may be missing. Before it is published, nothing may look like one."""
    files = [path for path in crash.rglob("*") if path.is_file()]
    dumps = [path for path in files if path.name in (_INCOMPLETE, _SEALED)]
    wrong = [f"{path.parent.name}/{path.name} looks like a dump" for path in files
             if path not in dumps and path.name != _STAGED and _signature(path) == _SIGNATURE]
    if len(dumps) > 1:
        wrong.append(f"{len(dumps)} dumps: {', '.join(str(path.relative_to(crash)) for path in dumps)}")
    if not dumps:
        return State.NONE, None, wrong
    if not DUMP_FOLDER.fullmatch(dumps[0].parent.name):
        wrong.append(f"a dump in {dumps[0].parent.name}")
    return State.SEALED if dumps[0].name == _SEALED else State.INCOMPLETE, dumps[0], wrong


@dataclass(frozen=True)
class Table:
    """A dump's header and descriptors."""

    incomplete: bool
    kept: int
    described: int
    described_end: int


def read_table(dump: Path) -> Table:
    with open(dump, "rb") as file:
        head = file.read(464)
        if len(head) < 464 or head[:8] != _SIGNATURE:
            raise HarnessError("it is no kdump file")
        status, block, sub_blocks, bitmap_blocks = struct.unpack_from("<Iiii", head, 424)
        kept = read_bitmaps(dump).saved.bit_count()
        start = (1 + sub_blocks + bitmap_blocks) * block
        file.seek(start)
        table = file.read(kept * _DESCRIPTOR.size)
    if len(table) != kept * _DESCRIPTOR.size:
        raise HarnessError(f"it ends in its descriptors, at {dump.stat().st_size}")
    whole = [entry for entry in _DESCRIPTOR.iter_unpack(table) if any(entry) and entry[1:3] != _UNSETTLED]
    end = max((entry[0] + entry[1] for entry in whole), default=start + len(table))
    return Table(bool(status & _STATUS_INCOMPLETE), kept, len(whole), end)


def _check_info(executable: Path, dump: Path, table: Table) -> list[str]:
    """dumpwright has to open it and to say how complete it is."""
    said = json.loads(run_tool([executable, "info", "--json", dump], timeout_s=60))
    pages = said["pages"]
    found = (said["complete"], pages["kept"], pages["stored"] + pages["zero"])
    expected = (not table.incomplete, table.kept, table.described)
    return [] if found == expected else [f"info: complete, kept, present are {found}, not {expected}"]


def _check_pages(dump: Path, table: Table, level: int, truth: RamTruth, partial: bool) -> list[str]:
    """Whatever has a descriptor has to read as the guest's RAM."""
    check = ramcheck(dump, level, truth, partial=partial)
    saved = re.search(r"^saved (\d+)$", check.report, re.MULTILINE)
    wrong = list(check.complaints)
    if saved is None or int(saved[1]) != table.described:
        wrong.append(f"{table.described} pages have a descriptor, {saved[1] if saved else 'none'} can be read")
    return wrong


def judge(crash: Path, level: int, truth: RamTruth, executable: Path | None) -> CutDump:
    """`crash` holds the folders of dumps; it may be missing."""
    state, dump, complaints = find_state(crash)
    result = CutDump(state, complaints=complaints)
    if dump is None:
        return result
    try:
        table = read_table(dump)
        result.kept, result.described, result.described_end = table.kept, table.described, table.described_end
        if state == State.SEALED and table.incomplete:
            complaints.append("its name is a finished dump's, its status INCOMPLETE")
        if not table.incomplete and table.described != table.kept:
            complaints.append("its status is a finished dump's, but pages are missing")
        if executable is not None:
            complaints += _check_info(executable, dump, table)
        complaints += _check_pages(dump, table, level, truth, table.incomplete)
    except HarnessError as error:
        complaints.append(f"{dump.name}: {error}")
    return result
