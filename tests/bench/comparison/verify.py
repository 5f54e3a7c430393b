"""Whether an output is a whole dump, so that a fast wrong program cannot win."""

from __future__ import annotations

import json
import struct
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from comparison.measure import BenchError

LIMIT_S = 300
DESCRIPTOR = struct.Struct("<qIIQ")
DECOMPRESSORS = {".zst": "zstd", ".lz4": "lz4"}


@dataclass
class Pages:
    """What the outputs of one load and level hold. The first one says how many pages there have to be."""

    kept: int | None = None
    by: str = ""


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        raise BenchError(f"{command[0]} is missing; install it") from None
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout.decode(errors="replace")


def as_kdump(dump: Path) -> Path:
    """The dump itself, or what the distribution's decompressor makes of a stream."""
    program = DECOMPRESSORS.get(dump.suffix)
    if program is None:
        return dump
    plain = dump.with_suffix(".plain")
    _run([program, "-d", "-q", "-f", str(dump), "-o" if program == "zstd" else str(plain),
          *([str(plain)] if program == "zstd" else [])])
    return plain


@dataclass(frozen=True)
class Shared:
    """Pages of a kdump file that lie where another page's data lie, zero pages aside: what dedup saves."""

    pages: int = 0
    bytes: int = 0


def count_shared(dump: Path) -> Shared:
    with open(dump, "rb") as file:
        head = file.read(464)
        block, sub_blocks, bitmap_blocks = struct.unpack_from("<iii", head, 428)
        file.seek((1 + sub_blocks) * block)
        bitmaps = file.read(bitmap_blocks * block)
        saved = bitmaps[len(bitmaps) // 2:]
        count = int.from_bytes(saved, "little").bit_count()
        table = file.read(count * DESCRIPTOR.size)
    places = Counter((offset, size) for offset, size, _, _ in DESCRIPTOR.iter_unpack(table))
    # Of all contents that of zero pages is the most frequent one, where they are kept.
    frequent = places.most_common(1)
    if frequent and is_zero_page(dump, *frequent[0][0]):
        del places[frequent[0][0]]
    again = {place: number - 1 for place, number in places.items() if number > 1}
    return Shared(sum(again.values()), sum(size * number for (_, size), number in again.items()))


def is_zero_page(dump: Path, offset: int, size: int) -> bool:
    """4096 equal bytes take next to nothing, and uncompressed ones can be looked at."""
    with open(dump, "rb") as file:
        file.seek(offset)
        data = file.read(size)
    return size < 64 or not any(data)


def verify(executable: Path, name: str, dump: Path, pages: Pages) -> Path:
    """As many pages as the other outputs, none missing or damaged. Returns the kdump file."""
    plain = as_kdump(dump)
    facts = json.loads(_run([str(executable), "info", "--json", str(plain)]))
    count = facts["pages"]
    if not facts["complete"] or count["missing"] or count["damaged"]:
        raise BenchError(f"{name}: not a whole dump: complete {facts['complete']}, {count}")
    if pages.kept is None:
        pages.kept, pages.by = count["kept"], name
    if count["kept"] != pages.kept:
        raise BenchError(f"{name} holds {count['kept']} pages, {pages.by} {pages.kept}")
    return plain


def verify_contents(dump: Path, level: int, vmcore: Path) -> None:
    """Every page, read by libkdumpfile, against the vmcore."""
    from harness.checks import RamTruth, ramcheck  # tests/qemu; needs libkdumpfile
    from harness.iomem import Span
    from harness.machine import RamSegment
    from loads.vmcore_facts import PAGE, ram_segments

    ram: list[RamSegment] = []
    for start, size, offset in sorted(ram_segments(vmcore), key=lambda segment: -segment[1]):
        # The kernel image's segment lies inside of another one.
        if not any(start < other.start + other.size and other.start < start + size for other in ram):
            ram.append(RamSegment(start, size, vmcore, offset))
    ram.sort(key=lambda segment: segment.start)
    whole = [Span(-(-segment.start // PAGE) * PAGE, (segment.start + segment.size) // PAGE * PAGE) for segment in ram]
    check = ramcheck(dump, level, RamTruth(ram, whole))
    if check.complaints:
        raise BenchError(f"{dump}: {'; '.join(check.complaints)}\n{check.report}")
