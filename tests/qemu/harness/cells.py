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


@dataclass(frozen=True)
class CrashQuirks:
    """What crash needs, and says, on a kernel that it does not know yet."""

    options: tuple[str, ...] = ()
    known_lines: tuple[str, ...] = ()  # whole lines, no complaint if crash prints them


# crash 9.0.2 stops at 7.2's struct module, where num_gpl_syms is gone.
_NEWEST = CrashQuirks(("--no_modules",), ("WARNING: no kernel module access",
                                          "WARNING: SLUB: cannot determine how compound pages are linked"))
CRASH_QUIRKS: dict[str, CrashQuirks] = {"newest-cloud": _NEWEST, "newest-generic": _NEWEST}

GENERIC = "192M"  # generic kernels are larger than cloud kernels

CELLS: tuple[Cell, ...] = (
    # The one that every change should pass.
    Cell("main"),
    # What is left out, and how it is compressed.
    Cell("d0", dump_level=0),
    Cell("d31", dump_level=31),
    Cell("zlib", compress="zlib"),
    Cell("none", compress="none"),
    # Kernels.
    Cell("5.10-cloud", kernel="5.10-cloud"),
    Cell("5.10-cloud-d31", kernel="5.10-cloud", dump_level=31),
    Cell("5.10-generic", kernel="5.10-generic", crashkernel=GENERIC),
    Cell("6.1-generic", kernel="6.1-generic", crashkernel=GENERIC),
    Cell("6.12-cloud", kernel="6.12-cloud"),
    Cell("6.12-cloud-d31", kernel="6.12-cloud", dump_level=31),
    Cell("6.12-generic", kernel="6.12-generic", crashkernel=GENERIC),
    Cell("newest-cloud", kernel="newest-cloud"),
    Cell("newest-cloud-d31", kernel="newest-cloud", dump_level=31),
    Cell("newest-generic", kernel="newest-generic", crashkernel=GENERIC),
    # Address translation: QEMU's largest CPU has five levels of page tables, so four are asked for.
    Cell("no5lvl", cmdline=("no5lvl",)),
    Cell("nokaslr", cmdline=("nokaslr",)),
    Cell("no5lvl-nokaslr-d31", cmdline=("no5lvl", "nokaslr"), dump_level=31),
    # Memory layouts: two nodes; RAM on both sides of 4 GiB; both.
    Cell("numa", numa_nodes=2),
    Cell("4g", memory_mib=4096),
    Cell("4g-numa-d31", memory_mib=4096, numa_nodes=2, cpus=4, dump_level=31),
    # How the capture kernel is loaded and what it is given.
    Cell("kexec-load", kexec="load"),
    # CPU 0 must not be started by a capture kernel that runs on another one, so three would do.
    Cell("capture-2cpus", cpus=4, capture_cpus=2,
         capture_cmdline=("irqpoll", "reset_devices", "disable_cpu_apicid=0", "loglevel=7")),
    Cell("initrd-zstd", initrd_compress="zstd"),
    # The design's promise: a 4 GiB guest is captured within this much reserved memory.
    Cell("4g-80m", memory_mib=4096, crashkernel="80M"),
    Cell("4g-96m-generic", memory_mib=4096, kernel="6.1-generic", crashkernel="96M"),
    # Without dumpwright: shows that guest, harness and checks are sound by themselves.
    Cell("raw", saver="raw"),
    Cell("raw-d31", saver="raw", dump_level=31),
)


def find_cells(names: list[str]) -> list[Cell]:
    """Cells by name, in the order asked for. Raises KeyError with the unknown name."""
    by_name = {cell.name: cell for cell in CELLS}
    return [by_name[name] for name in names]
