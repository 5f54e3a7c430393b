"""The checks of a cell that compares: both programs filter its raw vmcore, and dumpwright's dumps are checked."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.base import ROOT, HarnessError
from harness.cells import CRASH_QUIRKS, Cell, CrashQuirks
from harness.checks import Check, RamTruth, ramcheck
from harness.compare import LEVELS, Comparison, compare_level, judge, scratch_folder
from harness.crash_both import crash_both
from harness.dmesg import check_dmesg
from harness.formats import check_formats
from harness.initrds import Kernel, fetch_peer
from harness.partial import check_partial, read_shown
from harness.struct_pages import Layout, read_pages
from harness.vmcoreinfo import read_vmcoreinfo

EXECUTABLE = ROOT / "build/static/dumpwright"
# Of a -d 1 dump's bytes: half of the design's goal. These guests need 5 to 8 %, with pages in order of address over 90 %.
ENOUGH_SHARE = 0.15


def check_compared(cell: Cell, kernel: Kernel, vmcore: Path, truth: RamTruth, work: Path) -> list[Check]:
    if not EXECUTABLE.exists():
        raise HarnessError(f"{EXECUTABLE} is missing; build dumpwright first")
    makedumpfile, crash = fetch_peer("makedumpfile"), str(fetch_peer("crash"))
    quirks = CRASH_QUIRKS.get(cell.kernel, CrashQuirks())
    comparison = Comparison()
    dumps: dict[int, Path] = {}
    with scratch_folder(vmcore, work) as folder, ThreadPoolExecutor(1) as pool:
        # A copy: somebody may build another one meanwhile.
        executable = Path(shutil.copy2(EXECUTABLE, folder))
        # The kept levels first: crash, which takes longest, runs beside the others.
        pending = None
        for level in sorted(LEVELS, key=lambda level: level not in (1, 31)):
            dump = compare_level(executable, makedumpfile, vmcore, level, Path(folder), truth.never, comparison)
            if dump:
                dumps[level] = dump
            if len(dumps) == 2 and pending is None:
                pending = pool.submit(crash_both, crash, quirks, kernel.vmlinux, dumps[1], dumps[31], work)
        assert pending is not None
        layout = Layout.of(read_vmcoreinfo(vmcore))
        checks = [judge(comparison, lambda frames: read_pages(dumps[1], layout, frames))]
        checks += [ramcheck(dump, level, truth) for level, dump in dumps.items()]
        checks.append(check_dmesg(executable, makedumpfile, vmcore, dumps[31], Path(folder)))
        checks.append(pending.result())
        checks.append(check_partial(crash, quirks, kernel.vmlinux, dumps[1], ENOUGH_SHARE,
                                    read_shown(work / "crash-full"), Path(folder)))
        if cell.formats:
            checks += check_formats(executable, makedumpfile, crash, quirks, kernel.vmlinux, vmcore, dumps[31], truth,
                                    Path(folder), work)
        return checks
