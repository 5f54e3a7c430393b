"""Smaller vmcores than the loads have."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

MIB = 1 << 20
PT_NULL, PT_LOAD = 0, 1
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr


def cut_vmcore(source: Path, output: Path, limit: int) -> None:
    """The first `limit` bytes of memory of an ELF vmcore, with headers that say so. Its holes are zeros."""
    with open(source, "rb") as core:
        header = HEADER.unpack(core.read(HEADER.size))
        offset, count = header[5], header[10]
        core.seek(offset)
        segments = [list(SEGMENT.unpack(core.read(SEGMENT.size))) for _ in range(count)]
        end = 0
        for segment in segments:
            if segment[0] == PT_LOAD:
                segment[5] = segment[6] = min(segment[5], limit)
                limit -= segment[5]
                if segment[5] == 0:
                    segment[0] = PT_NULL
                    continue
            end = max(end, segment[2] + segment[5])
        core.seek(0)
        with open(output, "wb") as part:
            shutil.copyfileobj(core, part, MIB)
            part.truncate(end)
            part.seek(offset)
            part.write(b"".join(SEGMENT.pack(*segment) for segment in segments))
