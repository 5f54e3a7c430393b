"""Servers of tests/servers, for as long as something is measured."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from comparison.measure import BenchError

READY_LIMIT_S = 60


@contextlib.contextmanager
def started(command: list[str | Path], ready: Path) -> Iterator[None]:
    """A server, until the block ends. `ready`, which it writes when it serves, must not exist yet."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + READY_LIMIT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
