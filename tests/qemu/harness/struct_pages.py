"""The crashed kernel's struct pages, read with libkdumpfile, so that a difference is judged by neither of the two
programs that differ."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.base import HERE, HarnessError

KERNEL_VIRTUAL = 2  # KDUMP_KVADDR
STRING = 4  # KDUMP_STRING
SECTION_FLAGS = 0x3F  # of mem_section.section_mem_map


@dataclass(frozen=True)
class Layout:
    """Where things are in struct page; None: this kernel does not say, or does not have it."""

    mem_section: int  # address of the first root
    size: int
    flags: int
    mapping: int
    mapcount: int
    compound: int
    masked: bool  # compound_info: the head by a mask instead of a pointer
    hwpoison: int | None
    offline: int | None
    slab: int | None
    hugetlb: int | None

    @staticmethod
    def of(info: dict[str, str]) -> Layout:
        def number(name: str) -> int | None:
            return int(info[f"NUMBER({name})"]) if f"NUMBER({name})" in info else None
        masked = "OFFSET(page.compound_info)" in info
        compound = info["OFFSET(page.compound_info)" if masked else "OFFSET(page.compound_head)"]
        return Layout(int(info["SYMBOL(mem_section)"], 16), int(info["SIZE(page)"]), int(info["OFFSET(page.flags)"]),
                      int(info["OFFSET(page.mapping)"]), int(info["OFFSET(page._mapcount)"]), int(compound), masked,
                      number("PG_hwpoison"), number("PAGE_OFFLINE_MAPCOUNT_VALUE"),
                      number("PAGE_SLAB_MAPCOUNT_VALUE"), number("PAGE_HUGETLB_MAPCOUNT_VALUE"))


@dataclass(frozen=True)
class Page:
    """One struct page; its head is itself unless it is a tail page."""

    data: bytes
    layout: Layout
    head_address: int

    def _word(self, offset: int) -> int:
        return int.from_bytes(self.data[offset:offset + 8], "little")

    @property
    def is_tail(self) -> bool:
        return bool(self._word(self.layout.compound) & 1)

    def has_flag(self, bit: int) -> bool:
        return bool(self._word(self.layout.flags) >> bit & 1)

    @property
    def is_hwpoison(self) -> bool:
        return self.layout.hwpoison is not None and self.has_flag(self.layout.hwpoison)

    @property
    def is_anonymous(self) -> bool:
        return bool(self._word(self.layout.mapping) & 1)

    def has_type(self, number: int | None) -> bool:
        at = self.layout.mapcount
        return number is not None and int.from_bytes(self.data[at:at + 4], "little") == number & 0xFFFFFFFF

    def __str__(self) -> str:
        return " ".join(f"{self._word(at):x}" for at in range(0, len(self.data), 8))


def _head_address(data: bytes, address: int, layout: Layout) -> int:
    word = int.from_bytes(data[layout.compound:layout.compound + 8], "little")
    if not word & 1:
        return address
    # A mask has all of its upper bits set; no struct page is that high.
    return address & word if layout.masked and word >> 40 == 0xFFFFFF else word - 1


def make_page(data: bytes, address: int, layout: Layout) -> Page:
    return Page(data, layout, _head_address(data, address, layout))


class _Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("string", ctypes.c_char_p)]


class KernelReader:
    """The crashed kernel's virtual memory. Owns a descriptor and libkdumpfile's object; close() frees both."""

    def __init__(self, dump: Path) -> None:
        try:
            self._library = ctypes.CDLL("libkdumpfile.so")
        except OSError:
            raise HarnessError(f"libkdumpfile is missing; run {HERE}/install-packages") from None
        self._library.kdump_new.restype = ctypes.c_void_p
        self._library.kdump_get_err.restype = ctypes.c_char_p
        self._fd = os.open(dump, os.O_RDONLY)
        self._dump = ctypes.c_void_p(self._library.kdump_new())
        self._check(self._library.kdump_open_fdset(self._dump, 1, ctypes.byref(ctypes.c_int(self._fd))), "open")
        self._check(self._library.kdump_set_attr(self._dump, b"addrxlat.ostype",
                                                 ctypes.byref(_Attribute(STRING, b"linux"))), "linux")

    def close(self) -> None:
        self._library.kdump_free(self._dump)
        os.close(self._fd)

    def _check(self, status: int, what: str) -> None:
        if status:
            reason = self._library.kdump_get_err(self._dump) or b"?"
            raise HarnessError(f"libkdumpfile: {what}: {reason.decode()}")

    def read(self, address: int, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        length = ctypes.c_size_t(size)
        self._check(self._library.kdump_read(self._dump, KERNEL_VIRTUAL, ctypes.c_uint64(address), buffer,
                                             ctypes.byref(length)), f"{address:#x}")
        return buffer.raw


def read_pages(dump: Path, layout: Layout, frames: list[int]) -> dict[int, tuple[Page, Page]]:
    """Each page with its head, from a dump that has all kernel pages."""
    kernel = KernelReader(dump)

    def page_at(address: int) -> Page:
        return make_page(kernel.read(address, layout.size), address, layout)

    try:
        root, = struct.unpack("<Q", kernel.read(layout.mem_section, 8))
        memmap = struct.unpack("<Q", kernel.read(root, 8))[0] & ~SECTION_FLAGS  # of the first section, page frame 0
        pages = {pfn: page_at(memmap + pfn * layout.size) for pfn in frames}
        heads = {address: page_at(address) for address in {page.head_address for page in pages.values()}}
    finally:
        kernel.close()
    return {pfn: (page, heads[page.head_address]) for pfn, page in pages.items()}
