"""What a dump that went to a server has to stand besides: by which address it went, and its checksums."""

from __future__ import annotations

from pathlib import Path

from harness.base import ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check
from harness.saved import STREAM

ADDRESS = "10.0.2.15/24"


def judge_network(cell: Cell, console: str) -> list[str]:
    """The capture kernel has to have got its address in the way that the cell says."""
    lines = [line for line in console.splitlines() if "dumpwright: network: " in line and ADDRESS in line]
    if not lines:
        return [f"the capture kernel had no address {ADDRESS}"]
    wrong = [f"not {cell.ip or 'by DHCP'}: {line}" for line in lines if ("by DHCP" in line) != (cell.ip != "static")]
    if ("no ip= on the kernel's command line" in console) != (cell.ip == ""):
        wrong.append("it does not say what it does without ip=, or says so with it")
    return wrong


def check_sent(cell: Cell, dump: Path, console: str) -> list[Check]:
    """Nothing for a cell without a server."""
    if not cell.server:
        return []
    said = "\n".join(line for line in console.splitlines() if "dumpwright: network: " in line)
    stream = dump.with_name(STREAM)
    verify = [ROOT / "build/static/dumpwright", "verify", stream if stream.exists() else dump]
    try:
        verified = Check("verify", [], run_tool(verify, timeout_s=120))
    except HarnessError as error:
        verified = Check("verify", [str(error)], "")
    return [Check("network", judge_network(cell, console), said), verified]
