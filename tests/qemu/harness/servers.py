"""Real servers on this machine that a guest sends its dump to."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base import ROOT, HarnessError, tail
from harness.cells import Cell

SCRIPTS = ROOT / "tests/servers"
# QEMU's user networking: this machine's loopback, and what its DHCP server would give the guest too.
HOST = "10.0.2.2"
STATIC_IP = f"ip=10.0.2.15::{HOST}:255.255.255.0::eth0:none"
# Nobody listens there.
DEAD_TARGET = f"ssh://root@{HOST}:1/crash"
# A host that does not answer at all: there is none.
SILENT_TARGET = "nfs://10.0.2.77/export/crash?version=4"
START_LIMIT_S = 60
STOP_LIMIT_S = 30


@dataclass(frozen=True)
class Server:
    """A server that takes connections."""

    target: str  # as dumpwright.conf names it
    config: tuple[str, ...]  # what else the capture has to know
    crash_folder: Path  # where this machine finds the dump
    more_targets: tuple[str, ...] = ()
    pid: int = 0  # of the process that started all of it


def network_cmdline(cell: Cell) -> tuple[str, ...]:
    """What the cell itself says: `own` is dumpwright-kdump's to find out."""
    return {"": (), "own": (), "dhcp": ("ip=dhcp",), "static": (STATIC_IP,)}[cell.ip]


def _describe(cell: Cell, folder: Path) -> Server:
    port = (folder / "port").read_text().strip()
    if cell.server == "ssh":
        data = folder / "data"
        return Server(f"ssh://root@{HOST}:{port}{data}/crash",
                      (f"ssh_key {folder}/client_key", f"ssh_known_hosts {folder}/known_hosts"), data / "crash")
    options = f"version={cell.server.removeprefix('nfs')}"
    if cell.server == "nfs3":
        options += f"&mountport={(folder / 'mountport').read_text().strip()}"
    return Server(f"nfs://{HOST}:{port}/export/crash?{options}", (), folder / "export/crash")


def _command(cell: Cell, folder: Path) -> list[str | Path]:
    """NFSv4's lease is as long as usual: an emulated guest may not be heard of for as long as the tests' own."""
    return [SCRIPTS / "sshd", folder] if cell.server == "ssh" else [SCRIPTS / "nfs", folder, "--lease", "90"]


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not (folder / "port").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise HarnessError(f"the server did not start:\n{tail(log, 10)}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def server_for(cell: Cell, work: Path) -> Iterator[Server | None]:
    """Runs the cell's server, if it has one, while it is open. What it was sent stays in the work folder."""
    if not cell.server:
        yield None
        return
    folder = work / "server"
    folder.mkdir(exist_ok=True)
    (folder / "port").unlink(missing_ok=True)
    log = work / "server.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(_command(cell, folder),
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_until_ready(process, folder, log)
        yield dataclasses.replace(_describe(cell, folder), pid=process.pid)
    finally:
        _stop(process)
