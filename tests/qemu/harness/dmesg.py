"""The crashed kernel's log: what dumpwright makes of it, against what makedumpfile prints."""

from __future__ import annotations

from pathlib import Path

from harness.base import run_tool
from harness.checks import Check
from harness.panics import PANICS, Panic

LIMIT_S = 60


def judge_log(text: str, panic: Panic = PANICS["sysrq"]) -> list[str]:
    """What is wrong with the log of a guest that panicked."""
    wrong = [f"dmesg: the log lacks '{words}'" for words in panic.words if words not in text]
    if "Linux version" not in text.partition("\n")[0]:
        wrong.append(f"dmesg: the log begins with '{text.partition(chr(10))[0]}'")
    return wrong + [f"dmesg: {line}" for line in text.splitlines() if line.startswith("dumpwright: ")]


def _first_difference(ours: str, theirs: str) -> str:
    mine, other = ours.splitlines(), theirs.splitlines()
    for number, (one, two) in enumerate(zip(mine, other), 1):
        if one != two:
            return f"line {number} is '{one}', makedumpfile's '{two}'"
    return f"{len(mine)} lines, makedumpfile's {len(other)}"


def judge_same(what: str, ours: str, theirs: str) -> list[str]:
    return [] if ours == theirs else [f"dmesg of {what}: {_first_difference(ours, theirs)}"]


def check_saved_log(dump: Path, panic: Panic = PANICS["sysrq"]) -> Check:
    """The file beside a dump that dumpwright saved."""
    file = dump.with_name("vmcore-dmesg.txt")
    if not file.exists():
        return Check("log", ["dmesg: no vmcore-dmesg.txt beside the dump"], "")
    text = file.read_bytes().decode(errors="replace")
    return Check("log", judge_log(text, panic), f"vmcore-dmesg.txt has {len(text.splitlines())} lines")


def check_dmesg(executable: Path, makedumpfile: Path, vmcore: Path, dump: Path, folder: Path) -> Check:
    """Of the vmcore and of a dump of it: the text has to be makedumpfile's, byte for byte."""
    theirs_file = folder / "theirs-dmesg"
    run_tool([makedumpfile, "--dump-dmesg", vmcore, theirs_file], timeout_s=LIMIT_S)
    theirs = theirs_file.read_bytes().decode(errors="replace")
    texts: dict[str, str] = {}
    for what, file in (("the vmcore", vmcore), ("the dump", dump)):
        ours_file = folder / "ours-dmesg"
        run_tool([executable, "dmesg", file, ours_file], timeout_s=LIMIT_S)
        texts[what] = ours_file.read_bytes().decode(errors="replace")
        ours_file.unlink()
    complaints = judge_log(texts["the vmcore"])
    for what, text in texts.items():
        complaints += judge_same(what, text, theirs)
    return Check("dmesg", complaints, f"the same {len(theirs.splitlines())} lines as makedumpfile --dump-dmesg")
