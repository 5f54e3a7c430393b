"""crash has to show the same of a filtered dump as of the full one."""

from __future__ import annotations

import difflib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.cells import CrashQuirks
from harness.checks import Check, judge_crash, run_crash

COMMANDS = ("bt", "ps", "log", "kmem -i", "kmem -s", "vm", "files")
# Of these an output that is the same, but says nothing, tells nothing about the dump.
ADDRESSES = re.compile(r"error trace: .*")  # of crash itself, new with every start
LEAST_LINES = {"bt": 8, "ps": 20, "log": 50, "kmem -i": 5, "kmem -s": 20, "vm": 5, "files": 5}


def _file(folder: Path, command: str) -> Path:
    return folder / (command.replace(" ", "") + ".txt")


def _outputs(crash: str, quirks: CrashQuirks, vmlinux: Path, dump: Path, folder: Path) -> dict[str, str]:
    """Each command's output, and crash's own messages under ''."""
    folder.mkdir(exist_ok=True)
    for command in COMMANDS:
        _file(folder, command).unlink(missing_ok=True)
    status, messages = run_crash(crash, quirks, vmlinux, dump, folder / "commands",
                                 [f"{command} > {_file(folder, command)}" for command in COMMANDS])
    texts = {command: _file(folder, command).read_text(errors="replace") if _file(folder, command).exists() else ""
             for command in COMMANDS}
    messages = ADDRESSES.sub("error trace", messages)
    return {"": messages + ("" if status == 0 else f"crash ended with {status}\n"), **texts}


def judge_both(full: dict[str, str], filtered: dict[str, str]) -> Check:
    complaints: list[str] = []
    report: list[str] = []
    for command, text in full.items():
        name = command or "its messages"
        lines = text.splitlines()
        different = [line for line in difflib.unified_diff(lines, filtered[command].splitlines(), "full", "filtered",
                                                           lineterm="", n=0) if not line.startswith("@@")]
        if different:
            complaints.append(f"crash: {name} differs: " + " | ".join(different[:8]))
        elif command:
            said = f"{len(lines)} lines" if len(lines) >= LEAST_LINES[command] else "FAILS ON BOTH: " + text.strip()[:200]
            report.append(f"{name}: the same, {said}")
    return Check("crash on both dumps", complaints, "\n".join(report))


def says_enough(full: dict[str, str], failing: tuple[str, ...]) -> list[str]:
    """Complaints about commands that say next to nothing of the full dump, but for those known to fail."""
    return [f"crash: {command} says too little of the full dump: {full[command].strip()[:200]}"
            for command, least in LEAST_LINES.items()
            if command not in failing and len(full[command].splitlines()) < least]


def crash_both(crash: str, quirks: CrashQuirks, vmlinux: Path, full: Path, filtered: Path, work: Path) -> Check:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(_outputs, crash, quirks, vmlinux, dump, work / name)
                for name, dump in (("crash-full", full), ("crash-filtered", filtered))]
        outputs = [run.result() for run in runs]
    check = judge_both(*outputs)
    for text in outputs:
        check.complaints.extend(judge_crash(text[""], text["bt"], text["log"], text["ps"], quirks.known_lines))
    check.complaints.extend(says_enough(outputs[0], quirks.failing))
    return check
