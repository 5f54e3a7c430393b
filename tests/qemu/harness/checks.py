"""What a dump has to stand: comparison with the guest's RAM, and crash."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import HarnessError, tool_env
from harness.cells import CrashQuirks
from harness.compile import host_program
from harness.iomem import Span
from harness.kdump import runs
from harness.machine import RamSegment
from harness.panics import PANICS, Panic

PAGE = 4096
RAMCHECK_LIMIT_S = 300
CRASH_LIMIT_S = 180
# What crash says when it could not read or make sense of something.
COMPLAINT = re.compile(r"invalid|cannot|seek error|read error|page incomplete|page excluded|WARNING|not found"
                       r"|no such|core dumped", re.IGNORECASE)
RAMCHECK_WRONG = re.compile(r"^(differing|missing|surplus|unreadable|forbidden) [1-9]|- WRONG|^(dump|nothing): ")
FRAME = re.compile(r"^ *#\d+ \[[0-9a-f]+\] ")  # of a function that may be called exc_invalid_op
LOG_COMPLAINT = re.compile(r"^(crash|log|bt|ps): ", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """The outcome of one check: what is wrong (nothing if it passed), and what to show."""

    name: str
    complaints: list[str]
    report: str
    note: str = ""  # for RESULTS.md, if there is more to say than that it passed


def _run(command: list[str], limit_s: int) -> tuple[int | None, str]:
    """Exit status (None: killed at the time limit) and output."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=limit_s, env=tool_env(), check=False)
    except FileNotFoundError:
        raise HarnessError(f"{command[0]} is missing; run install-packages") from None
    except subprocess.TimeoutExpired as end:
        return None, (end.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class RamTruth:
    """The guest's RAM, and what a dump has to do with it."""

    ram: list[RamSegment]
    dumpable: list[Span]
    never: list[int] = field(default_factory=list)  # page frames that no dump may hold
    stale: list[Span] = field(default_factory=list)  # what guest-load filled and has lost since
    balloon_pages: int = 0


def ramcheck(dump: Path, level: int, truth: RamTruth, *, partial: bool = False) -> Check:
    """partial: the dump was cut off. Pages may be missing, but none may differ."""
    command = [str(host_program("ramcheck")), str(dump), str(level)]
    command += [f"ram:{s.start:#x}:{s.size:#x}:{s.file}:{s.offset:#x}" for s in truth.ram]
    for span in truth.dumpable:
        command += [f"{key}:{span.start:#x}:{span.end - span.start:#x}" for key in ("must", "may")]
    command += [f"never:{first * PAGE:#x}:{count * PAGE:#x}" for first, count in runs(sorted(truth.never))]
    command += [f"stale:{span.start:#x}:{span.end - span.start:#x}" for span in truth.stale]
    if truth.balloon_pages:
        command.append(f"balloon:{truth.balloon_pages}")
    if partial:
        command.append("partial")
    status, output = _run(command, RAMCHECK_LIMIT_S)
    complaints: list[str] = []
    if status is None:
        complaints.append(f"ramcheck did not end in {RAMCHECK_LIMIT_S} s")
    elif status == 1:
        complaints += [f"ramcheck: {line}" for line in output.splitlines() if RAMCHECK_WRONG.search(line)]
        complaints.append("ramcheck: the dump is wrong")
    elif status != 0:
        complaints.append(f"ramcheck: exit {status}: {output.strip()}")
    elif "verdict good" not in output:
        complaints.append("ramcheck: exit 0 without a verdict")
    return Check(f"ramcheck -d {level}", complaints, output)


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def judge_crash(output: str, bt: str, log: str, ps: str, known: tuple[str, ...] = (),
                panic: Panic = PANICS["sysrq"]) -> list[str]:
    """What is wrong with crash's messages, but for the known lines, and the output of its three commands."""
    wrong: list[str] = []
    for frame in panic.frames:
        if not re.search(rf"^ *(#\d+ \[[0-9a-f]+\] {frame}(\.cold)? at |\[exception RIP: {frame}\+)", bt, re.MULTILINE):
            wrong.append(f"crash: no {frame} in bt")
    wrong += [f"crash: log lacks '{words}'" for words in panic.words if words not in log]
    for task in ("guest-load", r"\[kthreadd\]", "(init|systemd)"):
        if not re.search(rf"^.*\s{task}\s*$", ps, re.MULTILINE):
            wrong.append(f"crash: ps lacks {task}")
    # The kernel's own messages may well say "invalid".
    texts = (("its messages", output, COMPLAINT), ("bt", bt, COMPLAINT), ("ps", ps, COMPLAINT),
             ("log", log, LOG_COMPLAINT))
    for name, text, pattern in texts:
        wrong += [f"crash: {name}: {line.strip()}" for line in text.splitlines()
                  if pattern.search(line) and not FRAME.match(line) and line.strip() not in known]
    return wrong


def run_crash(crash: str, quirks: CrashQuirks, vmlinux: Path, dump: Path, script: Path,
              commands: list[str]) -> tuple[int | None, str]:
    """Exit status (None: killed at the time limit) and messages; the commands redirect their own output."""
    script.write_text("\n".join([*commands, "quit"]) + "\n")
    return _run([crash, "-s", "--no_crashrc", *quirks.options, "-i", str(script), str(vmlinux), str(dump)],
                CRASH_LIMIT_S)


def crash_check(crash: str, quirks: CrashQuirks, vmlinux: Path, dump: Path, work: Path,
                panic: Panic = PANICS["sysrq"]) -> Check:
    names = ("bt", "log", "ps")
    for name in names:
        (work / f"{name}.txt").unlink(missing_ok=True)
    status, output = run_crash(crash, quirks, vmlinux, dump, work / "crash.commands",
                               [f"{name} > {work}/{name}.txt" for name in names])
    bt, log, ps = (_read(work / f"{name}.txt") for name in names)
    complaints = judge_crash(output, bt, log, ps, quirks.known_lines, panic)
    if status is None:
        complaints.insert(0, f"crash did not end in {CRASH_LIMIT_S} s")
    elif status != 0:
        complaints.insert(0, f"crash: exit {status}: {output.strip()[-500:]}")
    said = [f"(crash: {line})" for line in quirks.known_lines if line in output]
    return Check("crash", complaints, "\n".join([*said, bt or output]))
