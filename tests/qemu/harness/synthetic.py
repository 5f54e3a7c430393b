"""Writes small kdump files and RAM files for the self-test. Format: see capture/format, header version 6."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
ZLIB = 1  # compression flag of a page descriptor, and status bit of the header
TAG_MAGIC = 0x01656761702D7764  # guest/page_tag.h
KINDS = ("cache-clean", "cache-dirty", "tmpfs", "anon", "anon-huge")


def tagged_page(kind: int, serial: int) -> bytes:
    """A page as guest-load fills it, compressible."""
    head = struct.pack("<QIIQQ", TAG_MAGIC, kind, 0, serial, serial + 1)
    return (head + b"page %08d of its kind. " % serial * 200)[:PAGE]


def guest_pages(count: int) -> list[bytes]:
    """Memory of a little guest: zero pages, kernel-like pages, and pages of every kind."""
    pages: list[bytes] = []
    for pfn in range(count):
        if pfn % 8 == 7:
            page = bytes(PAGE)
        elif pfn % 8 < len(KINDS):
            page = tagged_page(pfn % 8, pfn)
        else:
            page = (b"kernel %08d;" % pfn * 300)[:PAGE]
        pages.append(page)
    return pages


@dataclass
class KdumpFile:
    """What to write: the sets are of page frame numbers; pages are the whole memory, all of it RAM."""

    pages: list[bytes]
    saved: set[int]
    stored_plain: set[int] = field(default_factory=set)  # not compressed
    empty_descriptors: set[int] = field(default_factory=set)  # bit set, nothing stored
    incomplete: bool = False  # the header's status
    data_offsets: dict[int, int] = field(default_factory=dict)  # filled by write()

    def _headers(self, bitmap_blocks: int) -> bytes:
        count = len(self.pages)
        uts = b"".join(text.ljust(65, b"\0") for text in
                       (b"Linux", b"selftest", b"6.1.0", b"#1", b"x86_64", b""))
        head = b"KDUMP   " + struct.pack("<i", 6) + uts + b"\0" * 6
        head += struct.pack("<qqIiiiIIIII", 1, 0, ZLIB | (8 if self.incomplete else 0), PAGE, 1, bitmap_blocks, count, 0, 0, 0, 1)
        sub = struct.pack("<qii", 0, 1, 0) + struct.pack("<QQ", 0, 0) + struct.pack("<QQQQQQ", *[0] * 6)
        sub += struct.pack("<QQQ", 0, count, count)
        return head.ljust(PAGE, b"\0") + sub.ljust(PAGE, b"\0")

    @staticmethod
    def _bitmap(pfns: set[int], blocks: int) -> bytes:
        bits = bytearray(blocks * PAGE)
        for pfn in pfns:
            bits[pfn // 8] |= 1 << pfn % 8
        return bytes(bits)

    def _store(self, pfn: int) -> tuple[bytes, int]:
        if pfn in self.stored_plain:
            return self.pages[pfn], 0
        return zlib.compress(self.pages[pfn], 1), ZLIB

    def write(self, path: Path) -> None:
        blocks = (len(self.pages) + PAGE * 8 - 1) // (PAGE * 8)
        image = self._headers(2 * blocks)
        image += self._bitmap(set(range(len(self.pages))), blocks) + self._bitmap(self.saved, blocks)
        offset = len(image) + 24 * len(self.saved)
        descriptors, data = b"", b""
        for pfn in sorted(self.saved):
            if pfn in self.empty_descriptors:
                descriptors += bytes(24)
                continue
            stored, flags = self._store(pfn)
            self.data_offsets[pfn] = offset + len(data)
            descriptors += struct.pack("<qIIQ", offset + len(data), len(stored), flags, 0)
            data += stored
        path.write_bytes(image + descriptors + data)
