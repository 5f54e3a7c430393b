"""The cells: which kernel panics on which machine, and how its dump is saved. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One guest. Sizes in MiB; see run --help and README.md for how cells are used."""

    name: str
    kernel: str = "6.1-cloud"  # a role of fetch-kernel
    memory_mib: int = 1024
    cpus: int = 2
    numa_nodes: int = 1
    crashkernel: str = "160M"
    cmdline: tuple[str, ...] = ()
    fill_mib: int = 600  # how much of the memory guest-load fills
    kexec: str = "file"  # kexec_file_load, or "load": the older kexec_load
    capture_cpus: int = 1
    capture_cmdline: tuple[str, ...] = ("irqpoll", "reset_devices")
    saver: str = "dumpwright"  # or "raw": a plain copy of /proc/vmcore, turned into a kdump file by makedumpfile
    dump_level: int = 1
    compress: str = "zstd"
    initrd_compress: str = "none"
    config: tuple[str, ...] = ()  # further lines of dumpwright.conf
    crash: str = "newest"  # of Debian's newest suite, see fetch-peer; or "installed"
    in_matrix: bool = True
    time_limit_s: int = 300  # for the guest, from power-on to power-off


CELLS: tuple[Cell, ...] = (
    Cell("main"),
    Cell("main-d31", dump_level=31),
    Cell("raw", saver="raw"),
    Cell("raw-d31", saver="raw", dump_level=31),
)


def find_cells(names: list[str]) -> list[Cell]:
    """Cells by name, in the order asked for. Raises KeyError with the unknown name."""
    by_name = {cell.name: cell for cell in CELLS}
    return [by_name[name] for name in names]
