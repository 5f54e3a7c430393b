"""Runs one cell from nothing to a verdict."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import HarnessError, work_dir
from harness.cells import CRASH_QUIRKS, Cell, CrashQuirks
from harness.checks import Check, crash_check, ramcheck
from harness.compile import host_program
from harness.compared import check_compared
from harness.dmesg import check_saved_log
from harness.failing import check_failure, spoiled
from harness.facts import check_facts, ram_truth
from harness.initrds import Kernel, build_capture_initrd, build_first_initrd, fetch_kernel, fetch_peer
from harness.installed import build_boot_initrd, check_cpus, check_scripts, check_second_boot, install, make_root_disk
from harness.machine import Machine, Outcome
from harness.panics import PANICS
from harness.power_cell import check_cell, logged_disk
from harness.saved import check_name, get_dump, saved_bytes
from harness.sent import check_sent
from harness.servers import Server, server_for
from harness.stuck import check_reset, drive_options

LOCK_LIMIT_S = 900


@dataclass
class Result:
    """What is known about a cell's run; complaints is empty exactly if it passed."""

    cell: Cell
    kernel: str = ""
    panic_s: float = 0.0  # power-on to panic
    capture_s: float = 0.0  # panic to power-off
    total_s: float = 0.0
    dump_bytes: int = 0
    complaints: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.complaints


def _prepare(cell: Cell, server: Server | None, work: Path) -> tuple[Kernel, Path]:
    kernel = fetch_kernel(cell.kernel)
    host_program("ramcheck")
    capture = build_capture_initrd(cell, kernel, work, server)
    first = work / "first.img"
    build_first_initrd(cell, kernel, capture, first)
    return kernel, first


def _check(cell: Cell, kernel: Kernel, dump: Path, machine: Machine, server: Server | None, work: Path,
           seed: int | None) -> list[Check]:
    console = machine.console.read_text(errors="replace")
    truth = ram_truth(cell, console, machine.ram())
    if cell.compare:
        return [check_facts(cell, console), *check_compared(cell, kernel, dump, truth, work)]
    crash = "crash" if cell.crash == "installed" else str(fetch_peer("crash"))
    quirks = CRASH_QUIRKS.get(cell.kernel, CrashQuirks())
    panic = PANICS[cell.panic]
    with ThreadPoolExecutor(2) as pool:
        checks = [pool.submit(ramcheck, dump, cell.dump_level, truth),
                  pool.submit(crash_check, crash, quirks, kernel.vmlinux, dump, work, panic)]
        done = [check_facts(cell, console), check_name(cell, dump), *(check.result() for check in checks)]
    if cell.saver == "dumpwright":
        done.append(check_saved_log(dump, panic))
    done += check_sent(cell, dump, console, server)
    if cell.guest and cell.boots_again:
        done.append(check_second_boot(machine))
    done += check_cpus(cell, machine, work) + check_scripts(cell, machine)
    return done + check_cell(cell, machine, work, truth, seed)


def _run_first(cell: Cell, server: Server | None, machine: Machine, work: Path) -> tuple[Kernel, Outcome, Path]:
    """To the end of the capture. Also returns the disk that received the dump."""
    if not cell.guest:
        kernel, first = _prepare(cell, server, work)
        machine.make_disks()
        machine.dump_drive += drive_options(cell)
        with logged_disk(cell, machine, work):
            return kernel, machine.run(kernel, first), machine.dump_disk
    kernel = fetch_kernel(cell.kernel)
    root_disk = make_root_disk(cell, work)
    install(cell, server, kernel, root_disk, work)
    machine.make_disks(root_disk)
    first = work / "first.img"
    build_boot_initrd(kernel, first)
    outcome = machine.run(kernel, first)
    if cell.boots_again:
        machine.run_again(kernel, first)
    return kernel, outcome, root_disk if cell.file_system == "root" else machine.dump_disk


def _keep_ram(machine: Machine, work: Path) -> None:
    for file in {segment.file for segment in machine.ram()}:
        shutil.copyfile(file, work / file.name)


def _remove_bulk(work: Path) -> None:
    """What a passed cell leaves behind is its console, crash's output and small files."""
    for folder in ("saved", "server", "overlay"):
        shutil.rmtree(work / folder, ignore_errors=True)
    for pattern in ("*.img", "ram*", "disk.log"):
        for path in work.glob(pattern):
            path.unlink()


def _run_guest(cell: Cell, work: Path, keep: bool, seed: int | None, result: Result) -> None:
    with (server_for(cell, work) as started, spoiled(cell, started, work) as server,
          Machine(cell, work) as machine):
        kernel, outcome, disk = _run_first(cell, server, machine, work)
        result.kernel = kernel.kver
        result.panic_s = outcome.panic_s
        result.capture_s = outcome.poweroff_s - outcome.panic_s
        if cell.watchdog:
            result.checks = check_reset(cell, machine, outcome)
            return
        if keep:
            _keep_ram(machine, work)
        if cell.failure:
            truth = ram_truth(cell, machine.console.read_text(errors="replace"), machine.ram())
            result.checks = check_failure(cell, kernel, machine, outcome, server, truth, work)
        else:
            dump = get_dump(cell, disk, server, work)
            result.dump_bytes = saved_bytes(dump)
            result.checks = _check(cell, kernel, dump, machine, server, work, seed)


@contextlib.contextmanager
def only_user_of(work: Path) -> Iterator[None]:
    """Two runs of one cell at a time would write the same console and disks: the second waits."""
    with open(work / "lock", "w", encoding="ascii") as lock:
        deadline = time.monotonic() + LOCK_LIMIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HarnessError(f"another run has been using {work} for {LOCK_LIMIT_S} s") from None
                time.sleep(0.5)
        yield


def run_cell(cell: Cell, *, keep: bool, seed: int | None = None) -> Result:
    """Never raises for a failed cell: the result says why. seed: of the power cuts, by default a random one."""
    work = work_dir() / cell.name
    work.mkdir(parents=True, exist_ok=True)
    result = Result(cell)
    try:
        with only_user_of(work):
            start = time.monotonic()
            _remove_bulk(work)
            try:
                _run_guest(cell, work, keep, seed, result)
                result.complaints = [wrong for check in result.checks for wrong in check.complaints]
            finally:
                result.total_s = time.monotonic() - start
            if not result.complaints and not keep:
                _remove_bulk(work)
    except HarnessError as error:
        result.complaints.append(str(error))
    return result


def describe(result: Result) -> str:
    """The summary that `run` prints."""
    cell = result.cell
    how = "compared" if cell.compare else f"{cell.saver} -d {cell.dump_level}"
    lines = [f"== {cell.name}: Linux {result.kernel or cell.kernel}, {cell.memory_mib} MiB, "
             f"{cell.cpus} CPUs, crashkernel={cell.crashkernel}, {how}"]
    for check in result.checks:
        lines += [f"-- {check.name}", check.report.strip()]
    if result.panic_s:
        dump = f"dump {result.dump_bytes / 1e6:.1f} MB, " if result.dump_bytes else ""
        lines.append(f"-- {dump}panic after {result.panic_s:.1f} s, panic to the end {result.capture_s:.1f} s, "
                     f"whole cell {result.total_s:.1f} s")
    lines += [f"WRONG {complaint}" for complaint in result.complaints]
    if not result.passed:
        lines.append(f"-- kept for a closer look: {work_dir() / cell.name}")
    lines.append(f"{'PASS' if result.passed else 'FAIL'} {cell.name}")
    return "\n".join(lines)
