"""The two initramfs archives of a guest: the crashing kernel's, and the capture kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.base import HERE, ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.compile import guest_program, kernel_module
from harness.cpio import Archive
from harness.modules import DISK_DRIVER, GUEST_DRIVERS, NETWORK_DRIVERS, OPTIONAL_DRIVERS, WATCHDOG_DRIVERS, ModuleTree
from harness.panics import PANICS
from harness.servers import DEAD_TARGET, Server, network_cmdline

# The file system that receives the dump.
DUMP_UUID = "d0d0d0d0-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel, see fetch-kernel."""

    root: Path
    kver: str

    @property
    def image(self) -> Path:
        return self.root / "boot" / f"vmlinuz-{self.kver}"

    @property
    def vmlinux(self) -> Path:
        return self.root / "vmlinux"


def fetch_kernel(role: str, *, vmlinux: bool = True) -> Kernel:
    """vmlinux, of which crash needs the debug information, is a large download."""
    options = ["--debug"] if vmlinux else []
    root = Path(run_tool([HERE / "fetch-kernel", *options, role], timeout_s=900).strip())
    return Kernel(root, (root / "kver").read_text().strip())


def fetch_peer(name: str) -> Path:
    return Path(run_tool([HERE / "fetch-peer", name], timeout_s=600).strip())


def add_modules(archive: Archive, kernel: Kernel, more: tuple[str, ...] = ()) -> None:
    tree = ModuleTree(kernel.root, kernel.kver)
    order = tree.load_order((*GUEST_DRIVERS, *more), OPTIONAL_DRIVERS)
    for number, path in enumerate(order):
        archive.add_data(f"modules/{number:02}.ko", tree.read(path))


def add_busybox(archive: Archive) -> None:
    archive.add_file("bin/busybox", fetch_peer("busybox").resolve())
    archive.add_link("bin/sh", "busybox")


def _add_kexec(archive: Archive) -> None:
    wrapper = fetch_peer("kexec")
    root = wrapper.parent / "root"
    archive.add_file("bin/kexec", root / "usr/sbin/kexec")
    archive.add_file("lib64/ld-linux-x86-64.so.2", (root / "lib64/ld-linux-x86-64.so.2").resolve())
    for library in (wrapper.parent / "libraries").read_text().split():
        name = library.rpartition("/")[2]
        if not name.startswith("ld-linux"):
            archive.add_file(f"lib/x86_64-linux-gnu/{name}", (root / "usr/lib/x86_64-linux-gnu" / name).resolve())


def load_tasks(cell: Cell) -> list[str]:
    """What guest-load fills, as its arguments."""
    def share(percent: int) -> int:
        return cell.fill_mib * percent // 100
    tasks = [f"clean:/data/clean:{share(20)}", f"dirty:/data/dirty:{share(10)}",
             f"tmpfs:/tmp/tmpfs:{share(20)}", f"anon:{share(35)}", f"huge:{share(15)}"]
    if cell.hugepages:
        tasks.append(f"hugetlb:{cell.hugepages * 2 * 3 // 4}")
    if cell.gigantic:
        tasks.append("gigantic:1024")
    return [*tasks, *(f"poison:{kind}" for kind in cell.poison), "ready:/run/ready"]


def features(cell: Cell) -> str:
    """Settings that init-first reads."""
    return (f"HUGEPAGES={cell.hugepages}\nOFFLINE_BLOCK={int(cell.offline_block)}\n"
            f"BALLOON_KIB={cell.balloon_mib * 1024}\n")


def fill_with_guest_load(cell: Cell) -> str:
    return f"#!/bin/sh\nexec guest-load {' '.join(load_tasks(cell))}\n"


def _add_panic(archive: Archive, cell: Cell) -> None:
    panic = PANICS[cell.panic]
    archive.add_data("panic", panic.script.encode() + b"\n")
    if panic.module:
        headers = Path(run_tool([HERE / "fetch-headers", cell.kernel], timeout_s=600).strip())
        archive.add_file("panic_kinds.ko", kernel_module("panic_kinds", headers))


def build_first_initrd(cell: Cell, kernel: Kernel, capture_initrd: Path, output: Path, fill: str = "") -> None:
    """The crashing kernel's: fills memory, loads the capture kernel, panics. `fill` is a script that fills the memory
    instead of guest-load: it makes /run/ready and does not end. The first disk is mounted on /data."""
    archive = Archive()
    add_busybox(archive)
    _add_kexec(archive)
    add_modules(archive, kernel, ("virtio_balloon",) if cell.balloon_mib else ())
    archive.add_data("features", features(cell).encode())
    archive.add_file("bin/guest-load", guest_program("guest_load"))
    archive.add_file("init", HERE / "guest/init-first")
    archive.add_data("fill", (fill or fill_with_guest_load(cell)).encode())
    _add_panic(archive, cell)
    archive.add_data("kexec-method", b"-s" if cell.kexec == "file" else b"-c")
    archive.add_data("capture/cmdline", capture_cmdline(cell).encode())
    archive.add_file("capture/vmlinuz", kernel.image)
    archive.add_file("capture/initrd", capture_initrd)
    archive.write(output)


def capture_cmdline(cell: Cell) -> str:
    return " ".join(("console=ttyS0,115200", "loglevel=5", "panic=1", f"nr_cpus={cell.capture_cpus}",
                     *network_cmdline(cell), *cell.capture_cmdline))


def build_raw_initrd(kernel: Kernel, output: Path) -> None:
    """A capture initrd without dumpwright: copies /proc/vmcore as it is."""
    archive = Archive()
    add_busybox(archive)
    add_modules(archive, kernel)
    archive.add_file("bin/sparse-copy", guest_program("sparse_copy"))
    archive.add_file("init", HERE / "guest/init-raw")
    archive.write(output)


def dumpwright_targets(cell: Cell, server: Server | None) -> tuple[str, ...]:
    disk = "raw:/dev/vdb" if cell.file_system == "none" else f"dev:UUID={DUMP_UUID}:/crash"
    if server and cell.fallback:
        return DEAD_TARGET, disk, server.target
    return (server.target, *server.more_targets) if server else (disk,)


def dumpwright_config(cell: Cell, server: Server | None) -> str:
    lines = (*(f"target {target}" for target in dumpwright_targets(cell, server)), f"dump_level {cell.dump_level}",
             f"compress {cell.compress}", "final_action poweroff", "failure_action poweroff", *(server.config if server else ()),
             *cell.config)
    return "\n".join(lines) + "\n"


def build_dumpwright_initrd(cell: Cell, kernel: Kernel, work: Path, output: Path, server: Server | None) -> None:
    builder = ROOT / "initrd-hooks/standalone/build-initrd"
    executable = ROOT / "build/static/dumpwright"
    for needed in (builder, executable):
        if not needed.exists():
            raise HarnessError(f"{needed} is missing; build dumpwright first")
    config = work / "dumpwright.conf"
    config.write_text(dumpwright_config(cell, server))
    file_system = () if cell.file_system == "none" else (cell.file_system,)
    drivers = (*(name for name in GUEST_DRIVERS if cell.failure != "driver" or name != DISK_DRIVER), *file_system, *(NETWORK_DRIVERS if server else ()),
               *(WATCHDOG_DRIVERS if cell.watchdog else ()))
    run_tool([builder, "--executable", executable, "--kernel-root", kernel.root,
              "--kernel-version", kernel.kver, "--modules", ",".join(drivers),
              "--config", config, "--compress", cell.initrd_compress, "--output", output],
             timeout_s=60)


def build_capture_initrd(cell: Cell, kernel: Kernel, work: Path, server: Server | None = None) -> Path:
    output = work / "capture.img"
    if cell.saver == "raw":
        build_raw_initrd(kernel, output)
    else:
        build_dumpwright_initrd(cell, kernel, work, output, server)
    return output
