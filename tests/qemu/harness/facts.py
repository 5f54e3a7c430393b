"""Whether the guest was the machine that its cell describes, from what it printed before the panic."""

from __future__ import annotations

import re

from harness.base import HarnessError
from harness.cells import Cell
from harness.checks import Check
from harness.machine import MARK, PANIC_MARK


def read_facts(console: str) -> dict[str, int]:
    text = console.partition(MARK + "facts begin")[2].partition(MARK + "facts end")
    if not text[1]:
        raise HarnessError("the console shows no facts about the guest")
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+)", text[0], re.MULTILINE)}


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
    if cell.capture_cpus > 1:
        # With loglevel=7 the capture kernel says how many it got.
        started = re.findall(r"Brought up \d+ nodes?, (\d+) CPUs?", console.partition(PANIC_MARK)[2])
        if started != [str(cell.capture_cpus)]:
            complaints.append(f"guest: the capture kernel started {started or 'an unknown number of'} CPUs, "
                              f"expected {cell.capture_cpus}")
    report = ", ".join(f"{name} {value}" for name, value in facts.items())
    return Check("guest", complaints, report)
