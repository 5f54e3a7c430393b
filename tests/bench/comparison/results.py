"""Measurements of one load at one dump level, and what follows from them."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field

from comparison.measure import Run
from comparison.variants import GOALS, Goal, Variant, most_anonymous_bytes
from comparison.verify import Shared


@dataclass(frozen=True)
class Spread:
    """Of one number per round."""

    least: float
    median: float
    most: float

    def text(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}..{self.most:.{digits}f})"


def spread(numbers: list[float]) -> Spread:
    return Spread(min(numbers), statistics.median(numbers), max(numbers))


@dataclass
class Measured:
    """One variant: the run with its memory sampled, which is not for timing, and those of the rounds."""

    variant: Variant
    sampled: Run
    # By the round's number. None: it was far from its family's best in the first run.
    rounds: dict[int, Run] = field(default_factory=dict)
    shared: Shared = Shared()

    def wall(self) -> Spread:
        return spread([run.wall_s for run in self.rounds.values()])

    def cpu(self) -> Spread:
        return spread([run.cpu_s for run in self.rounds.values()])


@dataclass
class Cell:
    """All variants on one load at one dump level."""

    load: str
    level: int
    kept_pages: int
    measured: list[Measured] = field(default_factory=list)

    def find(self, name: str) -> Measured | None:
        return next((one for one in self.measured if one.variant.name == name), None)

    def best(self, family: str) -> Measured | None:
        """The family's fastest number of threads, by the median."""
        timed = [one for one in self.measured if one.variant.family == family and one.rounds]
        return min(timed, key=lambda one: one.wall().median, default=None)

    def faster(self, own: Measured, peer: Measured) -> Spread:
        """How many times, within each round that has both. The first has."""
        both = own.rounds.keys() & peer.rounds.keys()
        return spread([peer.rounds[number].wall_s / own.rounds[number].wall_s for number in both])

    def faster_when_idle(self, own: Measured, peer: Measured) -> Spread:
        """What faster() would be with a CPU for each of dumpwright's threads, and makedumpfile without --num-threads. Other
        work on the machine weighs little on it."""
        both = own.rounds.keys() & peer.rounds.keys()
        return spread([peer.rounds[number].cpu_s / own.rounds[number].cpu_s * (own.variant.threads or 1)
                       for number in both])

    def size(self, own: Measured, peer: Measured) -> float:
        return own.sampled.bytes / peer.sampled.bytes

    def raw(self) -> dict[str, object]:
        return {"load": self.load, "level": self.level, "kept_pages": self.kept_pages,
                "variants": [{"name": one.variant.name, "arguments": one.variant.arguments,
                              "sampled": asdict(one.sampled), "shared": asdict(one.shared), "rounds": {number: asdict(run) for number, run in one.rounds.items()}}
                             for one in self.measured]}


@dataclass(frozen=True)
class Judged:
    """A goal on one load and level. The median decides."""

    goal: Goal
    load: str
    level: int
    faster: Spread
    when_idle: Spread | None  # None beside --num-threads, whose CPU time is mostly spent waiting
    size: float

    @property
    def met(self) -> bool:
        return self.faster.median >= self.goal.faster and (self.goal.size is None or self.size <= self.goal.size)


def judge(cells: list[Cell]) -> list[Judged]:
    found = []
    for goal in GOALS:
        for cell in cells:
            own, peer = cell.find(goal.variant), cell.best(goal.peer)
            if cell.level in goal.levels and own is not None and own.rounds and peer is not None:
                idle = None if peer.variant.threads else cell.faster_when_idle(own, peer)
                found.append(Judged(goal, cell.load, cell.level, cell.faster(own, peer), idle, cell.size(own, peer)))
    return found


def memory_excess(cells: list[Cell]) -> list[tuple[Cell, Measured]]:
    """Own runs whose anonymous memory is above its limit."""
    return [(cell, one) for cell in cells for one in cell.measured
            if not one.variant.peer and one.variant.threads is not None
            and one.sampled.rss_anon_bytes > most_anonymous_bytes(one.variant.threads)]
