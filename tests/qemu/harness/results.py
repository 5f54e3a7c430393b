"""What the matrix remembers of cells that ran, and the page it writes."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base import HERE, ROOT, HarnessError, work_dir
from harness.cells import CELLS, Cell
from harness.initrds import fetch_kernel
from harness.runner import Result


STALE = " (of an earlier state of the project)"


@dataclass(frozen=True)
class Record:
    """One run of one cell, as kept in the state file."""

    kernel: str
    date: str
    total_s: float
    capture_s: float
    dump_mb: float
    outcome: str  # "passed" and what its checks noted, or what was wrong

    @property
    def passed(self) -> bool:
        return self.outcome.startswith("passed")

    def __str__(self) -> str:
        return f"{self.date}: {self.outcome}"

    @staticmethod
    def of(result: Result) -> Record:
        # The page is for everybody: no paths of this machine.
        wrong = [complaint.splitlines()[0].replace(f"{work_dir()}/", "").replace(f"{ROOT}/", "")
                 for complaint in result.complaints]
        notes = "".join(f"; {check.note}" for check in result.checks if check.note)
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Record(result.kernel, time.strftime("%Y-%m-%d", time.gmtime()), round(result.total_s, 1),
                      round(result.capture_s, 1), round(result.dump_bytes / 1e6, 1),
                      "passed" + notes if result.passed else "FAILED: " + wrong[0] + more)


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"missing"))
    return digest.hexdigest()


def _things_tested(cell: Cell) -> list[Path]:
    harness = [path for path in (HERE / "harness").glob("*.py") if path.name not in ("cells.py", "results.py")]
    paths = harness + [path for path in (HERE / "guest").iterdir() if path.is_file()]
    if cell.compare:
        paths.append(ROOT / "build/static/dumpwright")
    if cell.saver == "dumpwright":
        paths += [ROOT / "build/static/dumpwright", ROOT / "initrd-hooks/standalone/build-initrd",
                  *(ROOT / "initrd-hooks" / name for name in ("common.sh", "hardware.sh", "stable-targets"))]
    if cell.guest:
        paths += [HERE / "fetch-guest", *(path for path in (ROOT / "initrd-hooks").rglob("*") if path.is_file())]
    return paths


def fingerprint(cell: Cell) -> str:
    """Of all that a result depends on. Fetches the kernel, since its version is part of that."""
    try:
        kernel = str(fetch_kernel(cell.kernel).root)
    except HarnessError:
        kernel = "none"  # the run will say why
    text = repr(cell) + kernel + _digest(_things_tested(cell))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def told_lines(page: str) -> dict[str, str]:
    """By cell, the lines of an earlier page that tell of a run: it may have been on another machine."""
    told = {}
    for line in page.splitlines():
        fields = line.split(" | ")
        if len(fields) >= 8 and fields[0].startswith("| ") and fields[3]:
            told[fields[0].removeprefix("| ")] = line
    return told


def _stale_line(line: str) -> str:
    return line if STALE in line else f"{line.removesuffix(' |')}{STALE} |"


def _target(cell: Cell) -> str:
    if cell.saver != "dumpwright":
        return "disk, raw copy"
    if cell.server:
        return f"{cell.server}, disk" if cell.fallback else cell.server
    return "partition" if cell.file_system == "none" else "disk"


class Results:
    """The state file. Written after every cell, so that nothing is lost when the matrix is stopped."""

    def __init__(self) -> None:
        self._path = work_dir() / "matrix.json"
        self._records: dict[str, tuple[str, Record]] = {}
        if self._path.exists():
            for name, (key, record) in json.loads(self._path.read_text()).items():
                self._records[name] = (key, Record(**record))

    def current(self, cell: Cell) -> Record | None:
        """The cell's result, unless something has changed since."""
        key, record = self._records.get(cell.name, ("", None))
        return record if key == fingerprint(cell) else None

    def add(self, cell: Cell, tested: str, record: Record) -> None:
        """tested: the cell's fingerprint when its run began."""
        self._records[cell.name] = (tested, record)
        state = {name: (key, asdict(record)) for name, (key, record) in self._records.items()}
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps(state, indent=1))
        scratch.rename(self._path)
        self.write_page()

    def _line(self, cell: Cell, told: dict[str, str]) -> str:
        _, record = self._records.get(cell.name, ("", None))
        if record is None and cell.name in told:
            return _stale_line(told[cell.name])
        if record is None:
            return f"| {cell.name} | {cell.kernel} | | | | | | not run |"
        stale = "" if self.current(cell) else STALE
        target = _target(cell)
        return (f"| {cell.name} | {record.kernel or cell.kernel} | {target} | {record.date} | {record.total_s} "
                f"| {record.capture_s} | {record.dump_mb} | {record.outcome.replace('|', '/')}{stale} |")

    def write_page(self) -> None:
        lines = ["# Results of the matrix", "",
                 "Written by `tests/qemu/matrix`. Capture: from the panic to power-off, under QEMU's tcg.", "",
                 "| cell | kernel | target | date | seconds | of these capture | dump MB | outcome |",
                 "|---|---|---|---|---|---|---|---|"]
        page = HERE / "RESULTS.md"
        told = told_lines(page.read_text()) if page.exists() else {}
        lines += [self._line(cell, told) for cell in CELLS if cell.in_matrix]
        page.write_text("\n".join(lines) + "\n")
