"""Judges what a power cut left of a dump."""

from __future__ import annotations

import dataclasses
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

_STAGED = "vmcore.new"
_KDUMP, _STREAM = "vmcore", "vmcore.zst"
_SEALED = (_KDUMP, _STREAM)
_PUBLISHED = tuple(name + ".incomplete" for name in _SEALED)
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
    dumps = [path for path in files if path.name in _SEALED + _PUBLISHED]
    wrong = [f"{path.parent.name}/{path.name} looks like a dump" for path in files
             if path not in dumps and path.name != _STAGED and _signature(path) == _SIGNATURE]
    if len(dumps) > 1:
        wrong.append(f"{len(dumps)} dumps: {', '.join(str(path.relative_to(crash)) for path in dumps)}")
    if not dumps:
        return State.NONE, None, wrong
    if not DUMP_FOLDER.fullmatch(dumps[0].parent.name):
        wrong.append(f"a dump in {dumps[0].parent.name}")
    return State.SEALED if dumps[0].name in _SEALED else State.INCOMPLETE, dumps[0], wrong


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


@dataclass(frozen=True)
class Info:
    """What dumpwright says of a dump."""

    complete: bool
    kept: int
    present: int
    cut_at: int | None


def _ask(executable: Path, dump: Path) -> Info:
    said = json.loads(run_tool([executable, "info", "--json", dump], timeout_s=60))
    pages = said["pages"]
    return Info(said["complete"], pages["kept"], pages["stored"] + pages["zero"], said.get("cut_at"))


def _convert(executable: Path, stream: Path, info: Info) -> tuple[Path | None, Table]:
    """A stream as a kdump file, unless it has no page, which `convert` has to refuse."""
    end = stream.stat().st_size if info.cut_at is None else info.cut_at
    plain = stream.with_name("converted")
    run_tool([executable, "convert", "--compress", "none", "--progress", "none", stream, plain], timeout_s=120,
             ok=(0, 3) if info.present else (1,))
    if not info.present:
        return None, Table(True, info.kept, 0, end)
    return plain, dataclasses.replace(read_table(plain), described_end=end)


def _check_info(info: Info, table: Table) -> list[str]:
    """dumpwright has to say how complete it is."""
    found = (info.complete, info.kept, info.present)
    expected = (not table.incomplete, table.kept, table.described)
    return [] if found == expected else [f"info: complete, kept, present are {found}, not {expected}"]


def _verify(executable: Path, dump: Path, table: Table) -> list[str]:
    """What was cut off is incomplete, but intact: whatever the list of checksums vouches for is there."""
    expected = 3 if table.incomplete else 0
    try:
        run_tool([executable, "verify", dump], timeout_s=120, ok=(expected,))
    except HarnessError as error:
        said = str(error).partition("\n(the command was")[0]
        return [f"verify: {said[:400]}"]
    return []


def _check_pages(dump: Path, table: Table, level: int, truth: RamTruth, partial: bool) -> list[str]:
    """Whatever has a descriptor has to read as the guest's RAM."""
    check = ramcheck(dump, level, truth, partial=partial)
    saved = re.search(r"^saved (\d+)$", check.report, re.MULTILINE)
    wrong = list(check.complaints)
    if saved is None or int(saved[1]) != table.described:
        wrong.append(f"{table.described} pages have a descriptor, {saved[1] if saved else 'none'} can be read")
    return wrong


def judge(crash: Path, level: int, truth: RamTruth, executable: Path | None) -> CutDump:
    """`crash` holds the folders of dumps; it may be missing. Without an executable nothing is asked of it, and streams
    cannot be judged."""
    state, dump, complaints = find_state(crash)
    result = CutDump(state, complaints=complaints)
    if dump is not None:
        try:
            _judge_dump(result, dump, level, truth, executable)
        except HarnessError as error:
            complaints.append(f"{dump.name}: {error}")
    return result


def _judge_dump(result: CutDump, dump: Path, level: int, truth: RamTruth, executable: Path | None) -> None:
    info = _ask(executable, dump) if executable is not None else None
    if dump.name.startswith(_STREAM):
        if executable is None or info is None:
            raise HarnessError("a stream cannot be judged without dumpwright")
        plain, table = _convert(executable, dump, info)
    else:
        plain, table = dump, read_table(dump)
    result.kept, result.described, result.described_end = table.kept, table.described, table.described_end
    if result.state == State.SEALED and table.incomplete:
        result.complaints.append("its name is a finished dump's, its status INCOMPLETE")
    if not table.incomplete and table.described != table.kept:
        result.complaints.append("its status is a finished dump's, but pages are missing")
    if executable is not None and info is not None:
        result.complaints += _check_info(info, table)
        result.complaints += _verify(executable, dump, table)
    if plain is not None:
        result.complaints += _check_pages(plain, table, level, truth, table.incomplete)
