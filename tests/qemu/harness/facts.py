"""Whether the guest was the machine that its cell describes, from what it printed before the panic."""

from __future__ import annotations

import re

from harness.base import HarnessError
from harness.cells import Cell
from harness.checks import PAGE, Check, RamTruth
from harness.iomem import Span, dumpable_ram
from harness.machine import MARK, MIB, PANIC_MARK, RamSegment

HUGE_PAGE = 2 * MIB


def read_facts(console: str) -> dict[str, int]:
    text = console.partition(MARK + "facts begin")[2].partition(MARK + "facts end")
    if not text[1]:
        raise HarnessError("the console shows no facts about the guest")
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+)", text[0], re.MULTILINE)}


def poisoned_pfns(cell: Cell, facts: dict[str, int]) -> list[int]:
    """Pages that no dump may hold."""
    return [facts[f"Poisoned{kind}"] for kind in cell.poison if f"Poisoned{kind}" in facts]


def stale_spans(facts: dict[str, int]) -> list[Span]:
    """The offlined block, and the huge page that was dissolved since one of its pages is poisoned: a few hundred of
    its pages may be on per-CPU lists of free pages, which no level leaves out."""
    spans: list[Span] = []
    if "OfflineBlock" in facts:
        size = facts["BlockBytes"]
        spans.append(Span(facts["OfflineBlock"] * size, (facts["OfflineBlock"] + 1) * size))
    if "Poisonedhugetlb" in facts:
        start = facts["Poisonedhugetlb"] * PAGE // HUGE_PAGE * HUGE_PAGE
        spans.append(Span(start, start + HUGE_PAGE))
    return spans


def ram_truth(cell: Cell, console: str, ram: list[RamSegment]) -> RamTruth:
    facts = read_facts(console)
    return RamTruth(ram, dumpable_ram(console), poisoned_pfns(cell, facts), stale_spans(facts),
                    facts.get("Ballooned", 0) * 1024 // PAGE)


def _check_features(cell: Cell, facts: dict[str, int], ram: list[Span]) -> list[str]:
    complaints: list[str] = []

    def expect(name: str, least: int, most: int | None = None) -> None:
        value = facts.get(name, 0)
        if value < least or most is not None and value > most:
            complaints.append(f"guest: {name} is {value}, expected {least}" + ("" if most == least else " or more"))

    if cell.hugepages:
        # A block that goes offline takes free ones with it, and a poisoned page the one that it was in.
        expect("HugePages_Total", cell.hugepages * 3 // 4 - ("hugetlb" in cell.poison))
        if not cell.offline_block:
            expect("HugePages_Free", 1)
    if cell.gigantic:
        expect("GiganticPages", 1, 1)
    for kind in cell.poison:
        expect(f"Poisoned{kind}", 1)
    if cell.poison:
        expect("HardwareCorrupted", 4 * len(cell.poison))
    if cell.offline_block and "OfflineBlock" not in facts:
        complaints.append("guest: no memory block is offline")
    if cell.balloon_mib:
        expect("Ballooned", cell.balloon_mib * 1024)
    for first, size in cell.holes:
        hole = Span(first * MIB, (first + size) * MIB)
        if any(span.start < hole.end and hole.start < span.end for span in ram):
            complaints.append(f"guest: there is memory at {first} MiB, expected a hole")
    return complaints


def check_facts(cell: Cell, console: str) -> Check:
    """A cell that silently tests something else, say one node instead of two, is a failed cell."""
    facts = read_facts(console)
    complaints: list[str] = []
    for name, expected in (("Nodes", cell.numa_nodes), ("CPUs", cell.cpus)):
        if facts.get(name) != expected:
            complaints.append(f"guest: {name} is {facts.get(name)}, expected {expected}")
    if "no5lvl" in cell.cmdline and facts.get("FiveLevels") != 0:
        complaints.append("guest: five levels of page tables in spite of no5lvl")
    # guest-load's shares, see initrds.load_tasks: 10 % dirty, 15 % huge. The kernel may take some back.
    for name, percent in (("Dirty", 10), ("AnonHugePages", 15)):
        least_kib = cell.fill_mib * 1024 * percent // 100 // 2
        if facts.get(name, 0) < least_kib:
            complaints.append(f"guest: {name} is {facts.get(name)} KiB, expected at least {least_kib}")
    complaints += _check_features(cell, facts, dumpable_ram(console))
    if cell.capture_cpus > 1:
        # With loglevel=7 the capture kernel says how many it got.
        started = re.findall(r"Brought up \d+ nodes?, (\d+) CPUs?", console.partition(PANIC_MARK)[2])
        if started != [str(cell.capture_cpus)]:
            complaints.append(f"guest: the capture kernel started {started or 'an unknown number of'} CPUs, "
                              f"expected {cell.capture_cpus}")
    report = ", ".join(f"{name} {value}" for name, value in facts.items())
    return Check("guest", complaints, report)
