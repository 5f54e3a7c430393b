"""Reads /proc/iomem as the guest printed it on its console."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.base import HarnessError
from harness.machine import MARK

LINE = re.compile(r"^( *)([0-9a-f]+)-([0-9a-f]+) : (.*?)\s*$")


@dataclass(frozen=True)
class Span:
    """Physical memory, start to end (exclusive)."""

    start: int
    end: int


def _spans(console: str) -> list[tuple[str, Span]]:
    begin, end = MARK + "iomem begins", MARK + "iomem ends"
    text = console.partition(begin)[2].partition(end)
    if not text[1]:
        raise HarnessError("the console shows no /proc/iomem")
    matches = (LINE.match(line) for line in text[0].splitlines())
    return [(m[4], Span(int(m[2], 16), int(m[3], 16) + 1)) for m in matches if m]


def _subtract(spans: list[Span], hole: Span) -> list[Span]:
    rest: list[Span] = []
    for span in spans:
        if hole.start >= span.end or hole.end <= span.start:
            rest.append(span)
            continue
        if span.start < hole.start:
            rest.append(Span(span.start, hole.start))
        if hole.end < span.end:
            rest.append(Span(hole.end, span.end))
    return rest


def dumpable_ram(console: str) -> list[Span]:
    """System RAM without what is reserved for the capture kernel."""
    named = _spans(console)
    ram = [span for name, span in named if name == "System RAM"]
    holes = [span for name, span in named if name == "Crash kernel"]
    if not ram or not holes:
        raise HarnessError("/proc/iomem on the console has no System RAM or no Crash kernel")
    for hole in holes:
        ram = _subtract(ram, hole)
    return ram
