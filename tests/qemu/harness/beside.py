"""Commands that run beside one another, each with its output in one piece."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def print_output(self) -> None:
        self.output.seek(0)
        print(self.output.read().decode(errors="replace"), end="", flush=True)
        self.output.close()


def _start(command: Sequence[str]) -> _Running:
    output = tempfile.TemporaryFile()
    # setpriv: an exception in Popen() leaves a process that nobody knows; it ends with this one.
    command = ["setpriv", "--pdeathsig", "TERM", *command]
    return _Running(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output), output)


def run_beside(commands: Sequence[Sequence[str]], jobs: int) -> int:
    """How many ended with 0. At most `jobs` run at a time; they are started in order, and what one printed is printed
    when it ends. If this ends early, by an exception, so do they: SIGTERM, and a wait for their clean-up."""
    waiting, running, passed = list(commands), [], 0
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(waiting.pop(0)))
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                one.print_output()
                passed += one.process.returncode == 0
            time.sleep(0.05)
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.wait()
            one.print_output()
    return passed
