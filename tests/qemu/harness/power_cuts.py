"""Cuts the power at random moments of a capture: replays the log of its disk, mounts, and judges what is there."""

from __future__ import annotations

import shutil
import tempfile
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from harness.base import HarnessError
from harness.checks import Check, RamTruth
from harness.cut_dump import CutDump, State, find_state, judge
from harness.lossy_disk import Cut, CutChooser, build_image, flushed_batch
from harness.mounted import Extent, check_file_system, copy_crash, dump_extents
from harness.write_log import Kind, Record, WriteLog

# What was appended is vouched for at least every 64 MiB; the batch that makes it due comes on top.
LOST_LIMIT = (64 << 20) + (4 << 20)
_SHM_BYTES = 4 << 30  # free space with which the images go to /dev/shm


@dataclass(frozen=True)
class Capture:
    """What a capture on a logged disk left to be cut."""

    base: Path  # the disk before the guest was started
    log: Path
    final: Path  # the disk after power-off
    file_system: str
    level: int
    truth: RamTruth
    executable: Path | None  # dumpwright, to ask it about each dump


@dataclass
class Trial:
    number: int
    cut: Cut
    dump: CutDump
    written: int = 0  # to the disk, in bytes
    data_end: int = 0  # of the dump's data that was written, as an offset in the file
    flushed_end: int = 0  # of that which was flushed too
    waited_s: float = 0.0  # since the oldest data without a descriptor was written
    at_s: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Bytes of data that were written and have no descriptor."""
        return max(0, self.data_end - self.dump.described_end) if self.dump.state == State.INCOMPLETE else 0

    def __str__(self) -> str:
        text = (f"cut {self.number}: {self.at_s:.2f} s, request {self.cut.at}, {self.written / 1e6:.1f} MB written, of the last "
                f"{self.cut.whole:.0%} whole and {self.cut.torn:.0%} torn: {self.dump.state.value}")
        if self.dump.state == State.INCOMPLETE:
            text += (f", {self.dump.described} of {self.dump.kept} pages; data written {self.data_end / 1e6:.1f} MB, "
                     f"flushed {self.flushed_end / 1e6:.1f}, readable {self.dump.described_end / 1e6:.1f}, "
                     f"oldest of the rest {self.waited_s:.1f} s old")
        return "\n".join([text, *(f"  WRONG {complaint}" for complaint in self.complaints)])


class Progress:
    """How much of the dump's data was written by which request. It is appended in order."""

    def __init__(self, records: list[Record], extents: list[Extent]) -> None:
        self._records = records
        by_disk = sorted(extents, key=lambda extent: extent.disk_at)
        starts = [extent.disk_at for extent in by_disk]

        def file_end(record: Record) -> int:
            index = bisect_right(starts, record.end - 1) - 1 if record.kind == Kind.WRITE else -1
            if index < 0:
                return 0
            extent = by_disk[index]
            inside = min(record.end, extent.disk_at + extent.length) - extent.disk_at
            return extent.file_at + inside if record.offset < extent.disk_at + extent.length else 0
        # ends[n]: of the data written by the first n requests.
        self._ends = list(accumulate((file_end(record) for record in records), max, initial=0))

    def data_end(self, at: int) -> int:
        return self._ends[at]

    def flushed_end(self, at: int) -> int:
        batch = flushed_batch(self._records, at)
        return self._ends[next((n for n, record in enumerate(self._records) if record.batch >= batch), at)]

    def waited_s(self, at: int, described_end: int) -> float:
        """Age, at that moment, of the oldest data behind described_end."""
        first = bisect_right(self._ends, described_end) - 1
        if first >= at:
            return 0.0
        return self._records[at - 1].at_s - self._records[first].at_s


class PowerCuts:
    """Trials on one capture. `work` holds the images, two at a time."""

    def __init__(self, capture: Capture, work: Path, *, lying_cache: int = 0) -> None:
        self._capture = capture
        self._log = WriteLog(capture.log)
        self._records = self._log.records
        self._work = work
        self._lying_cache = lying_cache
        self.published = self._first_moment((State.INCOMPLETE, State.SEALED))
        self.sealed = self._first_moment((State.SEALED,))
        self._progress = Progress(self._records, self._extents())
        if self._progress.data_end(len(self._records)) == 0:
            raise HarnessError("none of the disk's writes is the dump's data")

    def _extents(self) -> list[Extent]:
        return dump_extents(self._capture.file_system, self._capture.final, self._work)

    def _after(self, cut: Cut, folder: Path, lying_cache: int) -> Path:
        """The folder of dumps, as it is after the cut."""
        image = folder / "cut.img"
        build_image(self._capture.base, self._log, cut, image, lying_cache)
        crash = copy_crash(self._capture.file_system, image, folder)
        check_file_system(self._capture.file_system, image)
        image.unlink()
        return crash

    def _first_moment(self, wanted: tuple[State, ...]) -> int:
        """From which request on the dump has one of these states, even if all is lost that was not flushed."""
        moments = [index + 1 for index, record in enumerate(self._records) if record.kind == Kind.FLUSH]
        low, high = 0, len(moments)  # the first one is not below low, and at most high
        while low < high:
            middle = (low + high) // 2
            with tempfile.TemporaryDirectory(dir=self._work) as folder:
                state, _, _ = find_state(self._after(Cut(moments[middle]), Path(folder), 0))
            low, high = (low, middle) if state in wanted else (middle + 1, high)
        if low == len(moments):
            raise HarnessError(f"no flush left a dump that is {' or '.join(state.value for state in wanted)}")
        return moments[low]

    def _judge_in(self, number: int, cut: Cut, folder: Path) -> Trial:
        trial = Trial(number, cut, CutDump(State.NONE))
        before = self._records[:cut.at]
        trial.written = sum(record.written for record in before)
        trial.at_s = before[-1].at_s if before else 0.0
        trial.data_end, trial.flushed_end = self._progress.data_end(cut.at), self._progress.flushed_end(cut.at)
        try:
            trial.dump = judge(self._after(cut, folder, self._lying_cache), self._capture.level, self._capture.truth,
                               self._capture.executable)
        except HarnessError as error:
            trial.complaints.append(str(error))
            return trial
        trial.complaints += trial.dump.complaints + self._judge_moment(trial)
        return trial

    def _judge_moment(self, trial: Trial) -> list[str]:
        state, at = trial.dump.state, trial.cut.at
        if at >= self.sealed and state != State.SEALED:
            return [f"{state.value}, though the finished dump was flushed at request {self.sealed}"]
        if at >= self.published and state == State.NONE:
            return [f"{state.value}, though one was flushed at request {self.published}"]
        if state != State.INCOMPLETE:
            return []
        trial.waited_s = self._progress.waited_s(at, trial.dump.described_end)
        if trial.lost > LOST_LIMIT:
            return [f"{trial.lost} bytes of data were written and have no descriptor"]
        return []

    def run(self, count: int, seed: int) -> list[Trial]:
        chooser = CutChooser(self._log, self.published, seed)
        cuts = [chooser.choose(number) for number in range(count)]

        def one(number: int) -> Trial:
            with tempfile.TemporaryDirectory(dir=self._work) as folder:
                return self._judge_in(number, cuts[number], Path(folder))
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, range(count)))


def _summary(trials: list[Trial], seed: int) -> str:
    states = [trial.dump.state for trial in trials]
    lost = max((trial.lost for trial in trials), default=0)
    waited = max((trial.waited_s for trial in trials), default=0.0)
    counts = ", ".join(f"{states.count(state)} {state.value}" for state in State)
    wrong = sum(bool(trial.complaints) for trial in trials)
    return (f"{len(trials)} power cuts, seed {seed}: {counts}; {wrong} wrong; at most {lost / 1e6:.1f} MB "
            f"or {waited:.1f} s of data without descriptor")


def check_power_cuts(capture: Capture, count: int, seed: int, work: Path, *, lying_cache: int = 0) -> Check:
    shm = Path("/dev/shm")
    parent = shm if shm.is_dir() and shutil.disk_usage(shm).free > _SHM_BYTES else work
    with tempfile.TemporaryDirectory(prefix="dumpwright-cuts-", dir=parent) as folder:
        cuts = PowerCuts(capture, Path(folder), lying_cache=lying_cache)
        trials = cuts.run(count, seed)
    note = _summary(trials, seed)
    moments = f"published at request {cuts.published}, sealed at {cuts.sealed}"
    return Check("power cuts", [f"cut {trial.number}: {wrong}" for trial in trials for wrong in trial.complaints],
                 "\n".join([*map(str, trials), moments, note]), note)
