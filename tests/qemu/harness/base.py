"""Folders, errors and subprocess helpers that every module here uses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent


class HarnessError(Exception):
    """The test could not be carried out, or a guest failed before the planned panic."""


def cache_dir() -> Path:
    if "DUMPWRIGHT_CACHE" in os.environ:
        return Path(os.environ["DUMPWRIGHT_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "dumpwright"


def work_dir() -> Path:
    """Where consoles, disks and extracted dumps of the cells lie, one folder per cell."""
    return cache_dir() / "qemu-work"


def tool_env() -> dict[str, str]:
    """e2fsprogs and kmod live in sbin, which an ordinary user's PATH may lack."""
    return {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}


def run_tool(command: list[str | Path], *, timeout_s: float, ok: tuple[int, ...] = (0,)) -> str:
    """Runs a command and returns its standard output; any other exit status is an error with its output."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout_s, env=tool_env(), check=False)
    except FileNotFoundError:
        raise HarnessError(f"{words[0]} is missing; run {HERE}/install-packages") from None
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{Path(words[0]).name}: no end after {timeout_s:.0f} s\n"
                           f"(the command was: {' '.join(words)})") from None
    if done.returncode not in ok:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise HarnessError(f"{Path(words[0]).name}: exit {done.returncode}\n{output[-4000:].strip()}\n"
                           f"(the command was: {' '.join(words)})")
    return done.stdout.decode(errors="replace")


def tail(path: Path, lines: int) -> str:
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return "(nothing)"
    return "\n".join(text.splitlines()[-lines:])
