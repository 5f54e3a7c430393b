"""Reads the two page bitmaps of a kdump-compressed file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base import HarnessError


@dataclass(frozen=True)
class Bitmaps:
    """Bit n of a number is page frame n."""

    ram: int  # the page exists
    saved: int

    def has_saved(self, pfn: int) -> bool:
        return bool(self.saved >> pfn & 1)


def read_bitmaps(dump: Path) -> Bitmaps:
    with open(dump, "rb") as file:
        head = file.read(464)
        if len(head) < 464 or head[:8] != b"KDUMP   ":
            raise HarnessError(f"{dump} is no kdump file")
        block, sub_blocks, bitmap_blocks = struct.unpack_from("<iii", head, 428)
        half = bitmap_blocks // 2 * block
        if block != 4096 or sub_blocks < 1 or half <= 0:
            raise HarnessError(f"{dump}: block size {block}, {sub_blocks} and {bitmap_blocks} blocks")
        file.seek((1 + sub_blocks) * block)
        both = file.read(2 * half)
    if len(both) != 2 * half:
        raise HarnessError(f"{dump} ends inside of its bitmaps")
    return Bitmaps(int.from_bytes(both[:half], "little"), int.from_bytes(both[half:], "little"))


def pfns(bits: int) -> Iterator[int]:
    """The page frames of a bitmap, ascending."""
    for at, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
        if byte:
            yield from (at * 8 + bit for bit in range(8) if byte >> bit & 1)


def runs(frames: list[int]) -> list[tuple[int, int]]:
    """Ascending page frames as (first, count)."""
    found: list[tuple[int, int]] = []
    for pfn in frames:
        if found and sum(found[-1]) == pfn:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((pfn, 1))
    return found
