"""What one run of dumpwright sends to a server, connection by connection, beside what the server had by then."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trial.remains import HEAD, MARK, PAGES, journal_records
from trial.servers import Relay
from trial.stage import Reference, Running, expect

# What each attempt sends besides: handshakes, looking around, the journal, reports; of what it
# sends, the protocols' own share; and room for a kdump file's table of descriptors, which are written
# in steps.
OWN_BYTES = 1 << 20
TABLES = 3
OWN_SHARE = 0.03
DESCRIPTOR_BYTES = 24
PAGE_BYTES = 4096
# The first is of a target, as its address shows; others are about the vmcore, before there is a connection.
LOST = re.compile(r"warning: \w+://")
AGAIN, GOING_ON = "trying again", "going on with an interrupted dump: "


@dataclass(frozen=True)
class Vouched:
    """What the journal on the server speaks for."""

    pages: int = 0
    stored: int = 0  # of the pages, those with bytes of their own
    end: int = 0  # of the pieces in the dump's file

    @staticmethod
    def on(target: Path) -> Vouched:
        journals = list(target.glob("*/vmcore.sums"))
        if not journals:
            return Vouched()
        pages = stored = end = 0
        for record in journal_records(journals[0]):
            if record.kind in (HEAD, PAGES, MARK):
                end = max(end, record.offset + record.length)
            if record.kind == PAGES:
                pages, stored = pages + record.pages, stored + record.stored
        return Vouched(pages, stored, end)


def data_bytes(path: Path, begin: int) -> int:
    """Of the file from `begin` on, without holes."""
    total = 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while begin < size:
            try:
                begin = os.lseek(file.fileno(), begin, os.SEEK_DATA)
            except OSError:  # only a hole follows
                break
            hole = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            total += hole - begin
            begin = hole
    return total


def remaining_bytes(reference: Reference, vouched: Vouched) -> int:
    """What is to be sent when so much is there."""
    if reference.shape.format == "elf":
        return max(0, data_bytes(reference.file, 0) - vouched.stored * PAGE_BYTES)
    remaining = data_bytes(reference.file, vouched.end)
    if reference.shape.format == "kdump" and vouched.end > 0:
        remaining += DESCRIPTOR_BYTES * (Vouched.on(reference.directory).pages - vouched.pages)
    return remaining


class Attempts:
    """Looks at the run's messages and at the relay, often. Of a connection that is lost the run tells
    half a second before it makes the next one: that is when what the server has is looked at.

    Made before the run begins, which may be connected in no time; follow() tells which run it is."""

    def __init__(self, relay: Relay, reference: Reference, target: Path) -> None:
        self._relay, self._reference, self._target = relay, reference, target
        self._running: Running | None = None
        self._seen = 0  # characters of the messages
        self._vouched = Vouched()
        self._own = OWN_BYTES
        if reference.shape.format == "kdump":
            self._own += TABLES * DESCRIPTOR_BYTES * Vouched.on(reference.directory).pages
        self._first = len(relay.stats()["up_of"])
        # Of each: its first connection, and what was to be sent. More than one where a look came late.
        self._begun = [(self._first, remaining_bytes(reference, Vouched.on(target)))]
        self._next: tuple[int, int] | None = None
        self.lost = self.went_on = 0

    def follow(self, running: Running) -> None:
        self._running = running

    def look(self) -> dict:
        stats = self._relay.stats()
        text = self._running.text()
        news, self._seen = text[self._seen:], max(self._seen, text.rfind("\n") + 1)
        lines = news.splitlines() if news.endswith("\n") else news.splitlines()[:-1]
        late = False
        for line in lines:
            if AGAIN in line:
                # Looked at too late: it may have begun already, and counts with the one before.
                late = self._next is None or self._next[0] < 0
                self._begun.append(self._next if not late else (-1, self._remaining()))
                self._next = None
                self.lost += 1
            elif LOST.search(line) and self._next is None:
                self._vouched = Vouched.on(self._target)
                is_last = not any(AGAIN in later for later in lines)
                self._next = (len(stats["up_of"]) if is_last else -1, self._remaining())
            elif GOING_ON in line:
                self.went_on += 1
                there = int(line.split(GOING_ON)[1].split()[0])
                expect(late or there >= self._vouched.pages,
                       f"{self._vouched.pages} pages were vouched for, but it went on from {there}")
        return stats

    def _remaining(self) -> int:
        return remaining_bytes(self._reference, self._vouched)

    def check(self) -> str:
        """No attempt sends what was vouched for before it began."""
        up_of = self.look()["up_of"]
        worst = 0.0
        numbers = [first for first, _ in self._begun if first >= 0] + [len(up_of)]
        allowed: list[int] = []
        for first, remaining in self._begun:
            if first >= 0:
                allowed.append(0)
            allowed[-1] += int(remaining * (1 + OWN_SHARE)) + self._own
        for number, limit in enumerate(allowed):
            sent = sum(up_of[numbers[number]:numbers[number + 1]])
            expect(sent <= limit, f"attempt {number + 1} sent {sent} bytes where {limit} were enough")
            worst = max(worst, sent / limit)
        sent = sum(up_of[self._first:])
        expect(sent > self._reference.room * 0.9, f"only {sent} bytes came through the relay")
        return (f"{self.lost} connections lost, {self.went_on} times gone on, "
                f"{sent / max(1, self._reference.room):.2f} times the dump sent")
