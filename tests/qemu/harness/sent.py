"""What a dump that went to a server has to stand besides: by which address it went, and its checksums."""

from __future__ import annotations

import json
from pathlib import Path

from harness.base import ROOT, HarnessError, run_tool
from harness.cells import Cell
from harness.checks import Check
from harness.initrds import DUMP_UUID
from harness.saved import STREAM
from harness.servers import DEAD_TARGET, Server

ADDRESS = "10.0.2.15/24"
REPORT = "vmcore.json"
LOG = "vmcore-dmesg.txt"


def judge_network(cell: Cell, console: str) -> list[str]:
    """The capture kernel has to have got its address in the way that the cell says."""
    lines = [line for line in console.splitlines() if "dumpwright: network: " in line and ADDRESS in line]
    if not lines:
        return [f"the capture kernel had no address {ADDRESS}"]
    wrong = [f"not {cell.ip or 'by DHCP'}: {line}" for line in lines
             if ("by DHCP" in line) != (cell.ip in ("", "dhcp")) or (" dump0 (" in line) != (cell.ip == "own")]
    if ("no ip= on the kernel's command line" in console) != (cell.ip == ""):
        wrong.append("it does not say what it does without ip=, or says so with it")
    return wrong


def judge_reports(with_dump: str, without: str) -> list[str]:
    """The report beside the dump has to name the server that refused, and why; that of the other target where the dump is."""
    wrong: list[str] = []
    try:
        dumped, told = json.loads(with_dump), json.loads(without)
    except json.JSONDecodeError as error:
        return [f"a report is no JSON: {error}"]
    for name, report in (("beside the dump", dumped), ("of the other target", told)):
        failed = {one["target"]: one["why"] for one in report.get("failed_targets", [])}
        if list(failed) != [DEAD_TARGET]:
            wrong.append(f"the report {name} names as failed: {list(failed)}")
        elif "refused" not in failed[DEAD_TARGET]:
            wrong.append(f"the report {name} does not say why: {failed[DEAD_TARGET]}")
    if dumped.get("state") != "complete":
        wrong.append(f"the report beside the dump says: {dumped.get('state')}")
    if told.get("state") != "saved elsewhere" or f"{DUMP_UUID}:/crash/" not in told.get("saved_to", ""):
        wrong.append(f"the report of the other target says: {told.get('state')}, {told.get('saved_to')}")
    return wrong


def judge_announced(console: str) -> list[str]:
    """Before the dump all but the server that refused took a report: the console names those that did not."""
    missing = [line for line in console.splitlines() if "warning: no report to " in line]
    if len(missing) == 1 and f"no report to {DEAD_TARGET} yet: " in missing[0]:
        return []
    return [f"before the dump, reports were missing from: {missing}"]


def _check_reports(dump: Path, server_folder: Path, console: str) -> Check:
    beside = dump.with_name(REPORT).read_text()
    found = list(server_folder.glob(f"*/{REPORT}"))
    names = sorted(path.name for path in found[0].parent.iterdir()) if len(found) == 1 else []
    if names != sorted((REPORT, LOG)):
        return Check("reports", [f"expected one report and the log beside it, found: {list(server_folder.rglob('*'))}"], "")
    return Check("reports", judge_reports(beside, found[0].read_text()) + judge_announced(console),
                 found[0].read_text().strip())


def check_sent(cell: Cell, dump: Path, console: str, server: Server | None) -> list[Check]:
    """Nothing for a cell without a server."""
    if not server:
        return []
    said = "\n".join(line for line in console.splitlines() if "dumpwright: network: " in line)
    stream = dump.with_name(STREAM)
    verify = [ROOT / "build/static/dumpwright", "verify", stream if stream.exists() else dump]
    try:
        verified = Check("verify", [], run_tool(verify, timeout_s=120))
    except HarnessError as error:
        verified = Check("verify", [str(error)], "")
    checks = [Check("network", judge_network(cell, console), said), verified]
    return [*checks, _check_reports(dump, server.crash_folder, console)] if cell.fallback else checks
