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
    # What there is in memory, besides guest-load's page cache and anonymous pages.
    hugepages: int = 0  # pool of 2 MiB pages, a quarter of which stays free
    gigantic: bool = False  # one 1 GiB page
    poison: tuple[str, ...] = ()  # guest-load's memory of these kinds gets a hard-offlined page
    offline_block: bool = False  # one memory block is taken offline; needs movablecore=
    balloon_mib: int = 0
    holes: tuple[tuple[int, int], ...] = ()  # first and size of memory that the guest has not got
    # With saver "raw": dumpwright and makedumpfile both filter the copy, at every level of harness/compare.py.
    compare: bool = False
    formats: bool = False  # with compare: the vmcore is saved in the other formats too, see harness/formats.py
    # So many power cuts, at random moments of the capture, see harness/power_cuts.py. The dump's disk is then logged.
    power_cuts: int = 0
    file_system: str = "ext4"  # or xfs, or "none" for a bare one: of the disk that receives the dump
    disk_mib: int = 0  # of that disk; 0: with room for all of the memory, twice
    # "ssh", "nfs3" or "nfs4": a server on this machine receives the dump, not the disk; see harness/servers.py.
    server: str = ""
    # With server: how the capture kernel gets its address, "static" or "dhcp", or for a guest that is a whole system "own":
    # as dumpwright-kdump finds the system's own network; empty: by default.
    ip: str = ""
    stuck: bool = False  # the dump's disk takes nothing more in the middle: see harness/stuck.py
    watchdog: bool = False  # the machine has a hardware watchdog
    failure: str = ""  # what goes wrong with the target: see harness/failing.py
    # Three targets: a server that refuses, the disk, which gets the dump, and `server`, which gets a report only.
    fallback: bool = False
    panic: str = "sysrq"  # how the guest panics: see harness/panics.py
    # A whole Debian system of this suite, with dumpwright installed in it, see harness/installed.py. Its disk may
    # receive the dump: file_system "root". With "xfs" the dump's disk is mounted at the panic.
    guest: str = ""
    boots_again: bool = True  # with guest: the system, after the capture, finds the dump and is ready for the next
    initrd: str = "standalone"  # with guest: the capture kernel's, as dumpwright.conf names it
    panic_cpu: int = 0  # with guest: where the panic happens
    scripts: bool = False  # with guest: the administrator has scripts in pre.d and post.d
    in_matrix: bool = True
    time_limit_s: int = 300  # for the guest, from power-on to power-off


@dataclass(frozen=True)
class CrashQuirks:
    """What crash needs, and says, on a kernel that it does not know yet."""

    options: tuple[str, ...] = ()
    known_lines: tuple[str, ...] = ()  # whole lines, no complaint if crash prints them
    failing: tuple[str, ...] = ()  # commands that fail on the full dump too


# crash 9.0.2 stops at 7.2's struct module, where num_gpl_syms is gone, and knows no kmem_cache without local_node.
_NEWEST = CrashQuirks(("--no_modules",), ("WARNING: no kernel module access",
                                          "WARNING: SLUB: cannot determine how compound pages are linked",
                                          "kmem: invalid structure member offset: kmem_cache_local_node"),
                       ("kmem -s",))
CRASH_QUIRKS: dict[str, CrashQuirks] = {"newest-cloud": _NEWEST, "newest-generic": _NEWEST}

GENERIC = "192M"  # generic kernels are larger than cloud kernels
# Most blocks of it hold the crash kernel, the kernel, or a poisoned huge page, and cannot be taken offline.
MOVABLE = "movablecore=1G"
OFFLINE_MIB = 1536  # memory of a guest that takes a block offline
POISON = ("clean", "anon", "huge", "hugetlb")  # cloud 5.10 and 6.1 have no CONFIG_MEMORY_FAILURE


def _compared(kernel: str, *features: str, **more: object) -> Cell:
    """A guest whose vmcore is filtered on the host. Features by name; more: fields that differ."""
    fields: dict[str, object] = {
        "kernel": kernel, "saver": "raw", "compare": True, "fill_mib": 380,
        "crashkernel": GENERIC if kernel.endswith("generic") else "160M", "cmdline": ()}
    fields |= more
    choices: dict[str, dict[str, object]] = {
        "hugetlb": {"hugepages": 48},
        "poison": {"poison": POISON if "hugetlb" in features else POISON[:-1]},
        "offline": {"offline_block": True, "memory_mib": OFFLINE_MIB,
                    "cmdline": (*fields["cmdline"], MOVABLE)},  # type: ignore[misc]
        "balloon": {"balloon_mib": 64}}
    for feature in features:
        fields |= choices[feature]
    return Cell(**fields)  # type: ignore[arg-type]


def _installed(initrd: str, guest: str = "bookworm", to: str = "", **more: object) -> Cell:
    """to: xfs, raw or a server instead of the guest's own root file system."""
    name = "-".join(("installed", *(("13",) if guest == "trixie" else ()), initrd, *((to,) if to else ())))
    fields: dict[str, object] = {
        "name": name, "guest": guest, "initrd": initrd, "file_system": {"xfs": "xfs", "raw": "none"}.get(to, "root"),
        "server": "" if to in ("xfs", "raw") else to, "kernel": "6.1-cloud" if guest == "bookworm" else "6.12-cloud",
        "fill_mib": 300, "dump_level": 31, "capture_cmdline": (), "time_limit_s": 900}
    return Cell(**(fields | more))  # type: ignore[arg-type]


def _failing(failure: str, *config: str, **more: object) -> Cell:
    """A small guest, whose failure_action can be told from its final_action."""
    fields: dict[str, object] = {
        "name": f"fail-{failure}", "failure": failure, "memory_mib": 512, "fill_mib": 150,
        "config": ("failure_action reboot", *config)}
    return Cell(**(fields | more))  # type: ignore[arg-type]


def _failing_server(failure: str, **more: object) -> Cell:
    return _failing(failure, "connect_timeout 5", "reply_timeout 5", "retry_for 5", server="ssh", ip="static", **more)


CELLS: tuple[Cell, ...] = (
    # The one that every change should pass.
    Cell("main"),
    # What is left out, and how it is compressed.
    Cell("d0", dump_level=0),
    Cell("d31", dump_level=31),
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
    # The same set of pages as makedumpfile's, on each kernel, with all that it can have in its memory.
    _compared("5.10-cloud", "hugetlb", "balloon", name="compare-5.10-cloud", formats=True),
    _compared("5.10-generic", "hugetlb", "poison", "offline", name="compare-5.10-generic"),
    _compared("6.1-cloud", "hugetlb", "offline", "balloon", name="compare-6.1-cloud"),
    _compared("6.1-generic", "hugetlb", "poison", "balloon", name="compare-6.1-generic"),
    _compared("6.12-cloud", "hugetlb", "poison", "offline", name="compare-6.12-cloud"),
    _compared("6.12-generic", "hugetlb", "poison", "balloon", name="compare-6.12-generic"),
    _compared("newest-cloud", "hugetlb", "poison", "offline", name="compare-newest-cloud"),
    _compared("newest-generic", "hugetlb", "poison", "balloon", name="compare-newest-generic"),
    _compared("6.1-cloud", name="compare-no5lvl-nokaslr", cmdline=("no5lvl", "nokaslr")),
    _compared("newest-cloud", name="compare-newest-no5lvl", cmdline=("no5lvl",)),
    _compared("6.12-cloud", name="compare-nokaslr", cmdline=("nokaslr",)),
    # Holes: a whole section at the end of the first of two nodes, and some odd pages of the second; the PCI hole.
    _compared("6.12-cloud", name="compare-numa-hole", numa_nodes=2, holes=((384, 128), (701, 3))),
    _compared("newest-cloud", name="compare-newest-numa-hole", numa_nodes=2, holes=((384, 128), (701, 3))),
    _compared("6.12-cloud", name="compare-4g-numa-1gib-page", memory_mib=4096, numa_nodes=2, gigantic=True),
    _compared("newest-cloud", name="compare-newest-4g-1gib-page", memory_mib=4096, gigantic=True),
    # The same memory, filtered in the capture kernel.
    Cell("6.12-cloud-features-d31", kernel="6.12-cloud", dump_level=31, fill_mib=380, hugepages=48, poison=POISON,
         memory_mib=OFFLINE_MIB, offline_block=True, cmdline=(MOVABLE,)),
    Cell("newest-cloud-features", kernel="newest-cloud", fill_mib=380, hugepages=48, poison=POISON, balloon_mib=64),
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
    # The power goes in the middle; see run --power-cuts.
    Cell("power-cut", power_cuts=5),
    Cell("power-cut-xfs", power_cuts=5, file_system="xfs"),
    Cell("power-cut-stream", power_cuts=5, config=("format stream",)),
    # To a disk without a file system, from which it is taken off on the host.
    Cell("partition", file_system="none", dump_level=31, time_limit_s=600),
    Cell("partition-stream", file_system="none", config=("format stream",), time_limit_s=600),
    # Sent to a server: NFS and SSH, with the address on the kernel's command line, asked for, and not told at all.
    # An emulated CPU encrypts slowly.
    Cell("nfs3", server="nfs3", ip="static", time_limit_s=600),
    Cell("nfs4", server="nfs4", ip="static", dump_level=31, time_limit_s=600),
    Cell("ssh", server="ssh", ip="dhcp", dump_level=31, time_limit_s=600),
    Cell("ssh-static", server="ssh", ip="static", time_limit_s=900),
    Cell("ssh-stream-d31", server="ssh", dump_level=31, config=("format stream",), time_limit_s=600),
    # The first target is a server that refuses; the next one says so.
    Cell("fallback", server="ssh", ip="static", fallback=True, dump_level=31, config=("retry_for 5",),
         time_limit_s=600),
    # The target fails, and there is no other: see harness/failing.py.
    _failing_server("down"),
    _failing_server("key"),
    _failing_server("host-key"),
    _failing_server("mute"),
    _failing_server("hang"),
    _failing("full", disk_mib=64),
    _failing("driver"),
    # The capture gets stuck in the kernel, where it cannot be killed.
    _failing("stuck", "stall_timeout 20", stuck=True),
    # The same, and there is no limit but the watchdog's.
    Cell("watchdog", kernel="6.12-cloud", fill_mib=150, stuck=True, watchdog=True, config=("stall_timeout 0",),
         time_limit_s=900),
    # Other panics than by sysrq.
    Cell("panic-bug", panic="bug", fill_mib=300, dump_level=31),
    Cell("panic-null", panic="null", fill_mib=300, dump_level=31),
    Cell("panic-lockup", panic="lockup", fill_mib=300, dump_level=31),
    Cell("panic-nmi", panic="nmi", fill_mib=300, dump_level=31),
    # Debian as it is installed: dumpwright-kdump builds the initrd and loads it at boot, and the next boot finds the dump.
    _installed("standalone"),
    _installed("initramfs-tools", scripts=True),
    _installed("dracut"),
    _installed("initramfs-tools", guest="trixie"),
    _installed("dracut", guest="trixie", scripts=True),
    _installed("initramfs-tools", to="raw"),
    _installed("initramfs-tools", guest="trixie", to="ssh"),
    _installed("dracut", to="xfs"),
    _installed("dracut", guest="trixie", to="nfs4", ip="own"),
    _installed("dracut-systemd", crashkernel="256M"),
    _installed("dracut-systemd", guest="trixie", crashkernel="256M"),
    _installed("standalone", to="nfs3", ip="own"),
    # dumpwright-kdump gives the capture kernel three of four CPUs, and one of them is not the boot CPU.
    _installed("standalone", name="installed-three-cpus", cpus=4, panic_cpu=2, crashkernel="192M", capture_cpus=3,
               capture_cmdline=("loglevel=7",)),
    # Without dumpwright: shows that guest, harness and checks are sound by themselves.
    Cell("raw", saver="raw"),
    Cell("raw-d31", saver="raw", dump_level=31),
)

# What every change has to pass, one of each kind; the longest first, for --jobs: see run --every-change.
EVERY_CHANGE = ("watchdog", "main", "installed-three-cpus", "installed-initramfs-tools", "installed-13-dracut-nfs4",
                "compare-newest-cloud", "compare-5.10-cloud", "4g-96m-generic", "ssh", "power-cut", "panic-nmi",
                "fail-hang", "fail-stuck")


def find_cells(names: list[str]) -> list[Cell]:
    """Cells by name, in the order asked for. Raises KeyError with the unknown name."""
    by_name = {cell.name: cell for cell in CELLS}
    return [by_name[name] for name in names]
