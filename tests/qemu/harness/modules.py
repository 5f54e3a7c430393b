"""Kernel modules of an unpacked kernel: which files to load for a driver, and in which order."""

from __future__ import annotations

import lzma
from pathlib import Path

from harness.base import HarnessError, run_tool

# For both kernels of a guest. Some are built into some kernels; crc32c is ext4's soft dependency, which
# modules.dep does not name, and is gone from newer kernels.
DISK_DRIVER = "virtio_blk"
GUEST_DRIVERS = ("virtio_pci", DISK_DRIVER, "ext4")
OPTIONAL_DRIVERS = ("crc32c_generic",)
NETWORK_DRIVERS = ("virtio_net",)
WATCHDOG_DRIVERS = ("i6300esb",)


def _module_name(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


class ModuleTree:
    """lib/modules/KVER of an unpacked kernel; reads modules.dep once."""

    def __init__(self, kernel_root: Path, kver: str) -> None:
        self._folder = kernel_root / "lib/modules" / kver
        self._needs: dict[str, list[str]] = {}
        for line in (self._folder / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            self._needs[path] = needs.split()
        self._by_name = {_module_name(path): path for path in self._needs}
        builtin = (self._folder / "modules.builtin").read_text().splitlines()
        self._builtin = {_module_name(path) for path in builtin}

    def load_order(self, drivers: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[str]:
        """Paths below lib/modules/KVER, each after all that it needs."""
        order: list[str] = []
        for name in (*optional, *drivers):
            if name in self._builtin or (name in optional and name not in self._by_name):
                continue
            if name not in self._by_name:
                raise HarnessError(f"no module {name} in {self._folder}")
            self._add(self._by_name[name], order)
        return order

    def _add(self, path: str, order: list[str]) -> None:
        # modules.dep lists everything needed, far or near, so that loading from its end is right.
        for needed in reversed(self._needs[path]):
            if needed not in order:
                order.append(needed)
        if path not in order:
            order.append(path)

    def read(self, path: str) -> bytes:
        """The module, uncompressed: busybox's insmod reads nothing else."""
        file = self._folder / path
        if path.endswith(".xz"):
            return lzma.decompress(file.read_bytes())
        if path.endswith(".zst"):
            plain = file.with_suffix("")
            run_tool(["zstd", "-dqf", file, "-o", plain], timeout_s=30)
            return plain.read_bytes()
        return file.read_bytes()
