"""The pages that dumpwright saves from a raw vmcore, against those that the newest makedumpfile saves."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import HarnessError, run_tool
from harness.checks import Check
from harness.kdump import Bitmaps, pfns, read_bitmaps, runs
from harness.known import Difference, explain
from harness.struct_pages import Page

LEVELS = (0, 1, 2, 4, 8, 16, 31)
KEPT_LEVELS = (1, 31)  # dumpwright's dumps of these are checked further
MOST_EXPLAINED = 200_000
TOOL_LIMIT_S = 200
# Reads struct pages: by pfn, each page with its head.
Reader = Callable[[list[int]], dict[int, tuple[Page, Page]]]


@dataclass
class Comparison:
    """Pages that differ, by level and page frame: whether dumpwright saves them."""

    differing: dict[int, dict[int, bool]] = field(default_factory=dict)
    ram: dict[int, list[int]] = field(default_factory=dict)  # of the first bitmap
    saved: dict[int, int] = field(default_factory=dict)  # how many pages dumpwright saves
    forbidden: dict[int, list[int]] = field(default_factory=dict)  # saved, and must never be

    def add(self, level: int, ours: Bitmaps, theirs: Bitmaps, never: list[int]) -> None:
        self.differing[level] = {pfn: ours.has_saved(pfn) for pfn in pfns(ours.saved ^ theirs.saved)}
        self.ram[level] = list(pfns(ours.ram ^ theirs.ram))
        self.saved[level] = ours.saved.bit_count()
        self.forbidden[level] = [pfn for pfn in never if ours.has_saved(pfn)]

    def pages(self) -> list[int]:
        return sorted({pfn for level in self.differing.values() for pfn in level})


def save_ours(executable: Path, vmcore: Path, level: int, folder: Path) -> Path:
    run_tool([executable, "capture", "--source", vmcore, "-d", str(level), "--compress", "none",
              "--progress", "none", folder], timeout_s=TOOL_LIMIT_S)
    dumps = list(folder.glob("*/vmcore"))
    if len(dumps) != 1:
        raise HarnessError(f"dumpwright left {len(dumps)} dumps in {folder}")
    return dumps[0]


def save_theirs(makedumpfile: Path, vmcore: Path, level: int, folder: Path) -> Path:
    dump = folder / "theirs"
    run_tool([makedumpfile, "--message-level", "4", "-d", str(level), vmcore, dump], timeout_s=TOOL_LIMIT_S)
    return dump


def scratch_parent(size: int, work: Path) -> Path:
    """/dev/shm if it has ample room for a few dumps of this size."""
    shm = Path("/dev/shm")
    free = os.statvfs(shm) if shm.is_dir() else None
    return shm if free and free.f_bavail * free.f_frsize > 5 * size else work


def compare_level(executable: Path, makedumpfile: Path, vmcore: Path, level: int, folder: Path,
                  never: list[int], into: Comparison) -> Path | None:
    """Returns dumpwright's dump if it is one of those kept."""
    ours_folder = folder / f"d{level}"
    ours_folder.mkdir()
    ours = save_ours(executable, vmcore, level, ours_folder)
    theirs = save_theirs(makedumpfile, vmcore, level, folder)
    into.add(level, read_bitmaps(ours), read_bitmaps(theirs), never)
    theirs.unlink()
    if level in KEPT_LEVELS:
        return ours
    ours.unlink()
    return None


def _list_runs(frames: list[int]) -> str:
    found = runs(frames)
    text = ", ".join(f"{first:#x}" + (f"+{count}" if count > 1 else "") for first, count in found[:12])
    return text + (f" and {len(found) - 12} more runs" if len(found) > 12 else "")


def _unexplained(level: int, ours: bool, frames: list[int], pages: dict[int, tuple[Page, Page]]) -> list[str]:
    who = "only dumpwright" if ours else "only makedumpfile"
    lines = [f"-d {level}: {who} saves {len(frames)} pages, unexplained: {_list_runs(frames)}"]
    for pfn in frames[:3]:
        if pfn in pages:
            page, head = pages[pfn]
            lines.append(f"-d {level}: {pfn:#x} has struct page {page}" + (f", head {head}" if page.is_tail else ""))
    return lines


def judge(comparison: Comparison, read: Reader) -> Check:
    """Every difference is explained by harness/known.py, or a complaint."""
    complaints: list[str] = []
    report: list[str] = []
    frames = comparison.pages()
    pages = read(frames) if 0 < len(frames) <= MOST_EXPLAINED else {}
    for level, differing in sorted(comparison.differing.items()):
        reasons: Counter[str] = Counter()
        unknown: dict[bool, list[int]] = {True: [], False: []}
        for pfn, ours in differing.items():
            name = explain(Difference(pfn, level, ours), *pages[pfn]) if pfn in pages else None
            if name is None:
                unknown[ours].append(pfn)
            else:
                reasons[name] += 1
        for ours, unexplained in unknown.items():
            if unexplained:
                complaints += _unexplained(level, ours, unexplained, pages)
        if comparison.ram[level]:
            complaints.append(f"-d {level}: the first bitmaps differ: {_list_runs(comparison.ram[level])}")
        if comparison.forbidden[level]:
            complaints.append(f"-d {level}: poisoned pages are saved: {_list_runs(comparison.forbidden[level])}")
        if not comparison.saved[level]:
            complaints.append(f"-d {level}: no page is saved")
        what = ", ".join(f"{count} {name}" for name, count in reasons.items()) or "none"
        report.append(f"-d {level}: {comparison.saved[level]} pages saved, known differences: {what}")
    return Check("makedumpfile", complaints, "\n".join(report), _note(comparison, report))


def _note(comparison: Comparison, report: list[str]) -> str:
    if not comparison.pages():
        return f"the same pages as makedumpfile's at {len(comparison.differing)} levels"
    different = [line for line in report if not line.endswith(": none")]
    return "known differences from makedumpfile: " + "; ".join(
        f"{line.partition(': ')[0]} {line.rpartition(': ')[2]}" for line in different)


def scratch_folder(vmcore: Path, work: Path) -> tempfile.TemporaryDirectory[str]:
    size = os.stat(vmcore).st_size
    return tempfile.TemporaryDirectory(prefix=f"dumpwright-ram-{os.getpid()}-compare-",
                                       dir=scratch_parent(size, work))
