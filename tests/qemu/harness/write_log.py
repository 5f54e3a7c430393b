"""The log of all that a disk was told to keep: what power_cuts.py replays up to any moment.

A file: MAGIC, then records of RECORD bytes, each with its data behind it if it is a write. One writer at a time.
"""

from __future__ import annotations

import enum
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.base import HarnessError

MAGIC = b"DISKLOG1"
_RECORD = struct.Struct("<HHIQQd")  # kind, FUA, batch, offset, length, seconds


class Kind(enum.IntEnum):
    WRITE = 1
    ZERO = 2  # zeros written, or discarded
    FLUSH = 3


@dataclass(frozen=True)
class Record:
    """One request, in the order in which the disk took them."""

    kind: Kind
    fua: bool
    batch: int  # requests of one batch were under way at the same time: a flush covers those of earlier ones
    offset: int
    length: int
    at_s: float
    data_at: int = 0  # in the log, if it is a write

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def written(self) -> int:
        return self.length if self.kind == Kind.WRITE else 0


class LogWriter:
    """Appends. Refuses to grow beyond `limit` bytes."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = open(path, "wb", buffering=1 << 20)  # noqa: SIM115
        self._left = limit
        self._file.write(MAGIC)

    def add(self, record: Record, data: bytes | memoryview = b"") -> None:
        if record.written != len(data):
            raise ValueError("a write's data has to be as long as it says")
        self._left -= _RECORD.size + len(data)
        if self._left < 0:
            raise HarnessError("the guest writes more than the log of its disk may hold")
        self._file.write(_RECORD.pack(record.kind, record.fua, record.batch, record.offset, record.length, record.at_s))
        self._file.write(data)

    def close(self) -> None:
        self._file.close()


class WriteLog:
    """Reads a log. A record that the file's end cuts off is an error: the log is the truth of the trials."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map[:len(MAGIC)] != MAGIC:
            raise HarnessError(f"{path} is no log of a disk")
        self.records: list[Record] = []
        at = len(MAGIC)
        while at < len(self._map):
            if at + _RECORD.size > len(self._map):
                raise HarnessError(f"{path} is cut off at {at}")
            kind, fua, batch, offset, length, at_s = _RECORD.unpack_from(self._map, at)
            at += _RECORD.size
            record = Record(Kind(kind), bool(fua), batch, offset, length, at_s, at)
            at += record.written
            if at > len(self._map):
                raise HarnessError(f"{path} is cut off in the data of a write")
            self.records.append(record)

    def write_to(self, disk: int, record: Record, first: int, end: int) -> None:
        """Bytes first..end of a write, or of zeros, to where they belong in the open file `disk`."""
        if record.kind == Kind.WRITE:
            with memoryview(self._map) as data:
                part = data[record.data_at + first:record.data_at + end]
                write_all(disk, part, record.offset + first)
                part.release()
        else:
            write_zeros(disk, record.offset + first, end - first)


def write_all(file: int, data: bytes | memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)


def write_zeros(file: int, offset: int, length: int) -> None:
    """A hole stays one."""
    piece = 1 << 20
    zeros = bytes(min(piece, length))
    while length > 0:
        count = min(piece, length)
        if os.pread(file, count, offset) != zeros[:count]:
            write_all(file, zeros[:count], offset)
        offset, length = offset + count, length - count
