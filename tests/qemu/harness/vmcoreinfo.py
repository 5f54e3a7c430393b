"""What the crashed kernel says of itself, out of a raw vmcore's notes."""

from __future__ import annotations

import struct
from pathlib import Path

from harness.base import HarnessError

PT_NOTE = 4
NAME = b"VMCOREINFO"


def _notes(vmcore: Path) -> bytes:
    with open(vmcore, "rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF" or len(head) < 64:
            raise HarnessError(f"{vmcore} is no ELF file")
        table, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        notes = b""
        for index in range(count):
            file.seek(table + index * size)
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", file.read(size))
            if kind == PT_NOTE:
                file.seek(offset)
                notes += file.read(length)
    return notes


def read_vmcoreinfo(vmcore: Path) -> dict[str, str]:
    """Its KEY=VALUE lines."""
    notes = _notes(vmcore)
    at = 0
    while at + 12 <= len(notes):
        name_size, size, _ = struct.unpack_from("<III", notes, at)
        name = notes[at + 12:at + 12 + name_size].rstrip(b"\0")
        at += 12 + (name_size + 3 & ~3)
        if name == NAME:
            text = notes[at:at + size].decode(errors="replace")
            return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        at += size + 3 & ~3
    raise HarnessError(f"{vmcore} has no VMCOREINFO")
