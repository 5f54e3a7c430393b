"""What a disk with a volatile write cache may hold after a power cut, by the log of its writes.

All that a flush covered is there. Of each later write, all may be there, or nothing, or any of its sectors, whatever
became of the writes before it: the cache writes back in any order. Sectors of 512 bytes are written whole or not at all.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from harness.base import run_tool
from harness.nbd_disk import SECTOR
from harness.write_log import Kind, Record, WriteLog


@dataclass(frozen=True)
class Cut:
    """The moment is before record `at` of the log; of that one, if it is a write, sectors may be there too."""

    at: int
    whole: float = 0.0  # share of the writes since the last flush that are there
    torn: float = 0.0  # share of those of which some sectors are there
    seed: int = 0  # which ones



def flushed_batch(records: list[Record], at: int) -> int:
    """Writes of earlier batches than this are flushed before record `at`."""
    for index in range(at - 1, -1, -1):
        if records[index].kind == Kind.FLUSH:
            return records[index].batch
    return 0


def _lying_batch(records: list[Record], at: int, cache: int) -> int:
    """The same of a disk that flushes nothing, but writes back the oldest when its cache is full."""
    held = 0
    for index in range(at - 1, -1, -1):
        held += records[index].written
        if held > cache:
            return records[index].batch + 1
    return 0


def _runs(rng: random.Random, sectors: int) -> list[tuple[int, int]]:
    """Random runs of sectors, often from the start, as (first, end)."""
    if rng.random() < 0.3:
        return [(0, rng.randrange(sectors + 1))]
    found: list[tuple[int, int]] = []
    longest = rng.choice((1, 8, 64, 512))
    at, landed = 0, rng.random() < 0.5
    while at < sectors:
        end = min(sectors, at + rng.randint(1, longest))
        if landed:
            found.append((at, end))
        at, landed = end, not landed
    return found


def _tear(log: WriteLog, disk: int, record: Record, rng: random.Random) -> None:
    for first, end in _runs(rng, record.length // SECTOR):
        log.write_to(disk, record, first * SECTOR, end * SECTOR)


def build_image(base: Path, log: WriteLog, cut: Cut, image: Path, lying_cache: int = 0) -> None:
    """`base` is the disk before the first record. lying_cache: the disk acknowledged flushes without doing them, and
    wrote back only what its cache of this size could not hold."""
    run_tool(["cp", "--sparse=always", "--reflink=auto", base, image], timeout_s=120)
    rng = random.Random(cut.seed)
    flushed = _lying_batch(log.records, cut.at, lying_cache) if lying_cache else flushed_batch(log.records, cut.at)
    disk = os.open(image, os.O_RDWR)
    try:
        for record in log.records[:cut.at]:
            if record.kind == Kind.FLUSH:
                continue
            fate = rng.random()
            if record.batch < flushed or (record.fua and not lying_cache) or fate < cut.whole:
                log.write_to(disk, record, 0, record.length)
            elif fate < cut.whole + cut.torn:
                _tear(log, disk, record, rng)
        if cut.at < len(log.records) and log.records[cut.at].kind == Kind.WRITE and cut.torn:
            _tear(log, disk, log.records[cut.at], rng)
    finally:
        os.close(disk)


class CutChooser:
    """Random moments, and what the cache then does. The same seed and log give the same cuts."""

    # Uniform over the bytes, over the requests, at a flush, before the dump is there, at the end.
    ORDER = ("before", "bytes", "flush", "bytes", "request", "bytes", "flush", "end", "bytes", "request")

    def __init__(self, log: WriteLog, published: int, seed: int) -> None:
        """published: the first moment at which the dump is on the disk whatever is lost."""
        self._records = log.records
        self._published = published
        self._rng = random.Random(seed)

    def choose(self, number: int) -> Cut:
        at = getattr(self, "_" + self.ORDER[number % len(self.ORDER)])()
        whole = self._rng.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        torn = (1 - whole) * self._rng.choice((0.0, 0.3, 1.0))
        return Cut(at, whole, torn, self._rng.getrandbits(32))

    def _bytes(self) -> int:
        total = sum(record.written for record in self._records[self._published:])
        left = self._rng.randrange(max(1, total))
        for index in range(self._published, len(self._records)):
            left -= self._records[index].written
            if left < 0:
                return index
        return len(self._records)

    def _request(self) -> int:
        return self._rng.randint(self._published, len(self._records))

    def _flush(self) -> int:
        """Just before one, when the most is in the cache, or just behind it."""
        flushes = [index for index in range(self._published, len(self._records))
                   if self._records[index].kind == Kind.FLUSH]
        return self._rng.choice(flushes) + self._rng.randrange(2) if flushes else len(self._records)

    def _before(self) -> int:
        return self._rng.randint(0, self._published)

    def _end(self) -> int:
        return self._rng.randint(max(self._published, len(self._records) - 60), len(self._records))
