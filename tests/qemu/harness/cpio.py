"""Writes initramfs archives (cpio "newc"), so that device nodes need neither root nor cpio."""

from __future__ import annotations

import stat
from pathlib import Path


class Archive:
    """Collects files and returns them as one archive. Folders are added as they are needed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._folders: set[str] = set()
        self._inode = 1
        self.add_device("dev/console", 5, 1)

    def _entry(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]
        self._inode += 1

    def add_folder(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.add_folder(parent)
        if name not in self._folders:
            self._folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def _add_parent(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.add_folder(parent)

    def add_device(self, name: str, major: int, minor: int) -> None:
        self._add_parent(name)
        self._entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def add_data(self, name: str, data: bytes, mode: int = 0o755) -> None:
        self._add_parent(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def add_file(self, name: str, path: Path) -> None:
        self.add_data(name, path.read_bytes())

    def add_link(self, name: str, target: str) -> None:
        self._add_parent(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def write(self, path: Path) -> None:
        self._inode = 0
        self._entry("TRAILER!!!", 0, b"")
        path.write_bytes(b"".join(self._parts))
