"""What goes wrong with a target, and what the machine has to do and say then."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base import ROOT
from harness.cells import Cell, CrashQuirks
from harness.checks import Check, RamTruth, crash_check
from harness.cut_dump import State, find_state, judge
from harness.dmesg import check_saved_log
from harness.initrds import DUMP_UUID, Kernel, fetch_peer
from harness.machine import PANIC_MARK, Machine, Outcome
from harness.saved import extract
from harness.servers import DEAD_TARGET, HOST, SILENT_TARGET, Server

EXECUTABLE = ROOT / "build/static/dumpwright"
# Connections that nobody takes, for all retries.
BACKLOG = 100
# A server hangs when it has so much of the dump: behind the tables, which are 2 MB in these guests.
HANG_AFTER = 12 << 20
POLL_S = 0.05
NOTHING_SAVED, INCOMPLETE = "NO DUMP WAS SAVED", "an incomplete dump was saved"


@dataclass(frozen=True)
class Failure:
    """`said`: of each, all the words in one line of dumpwright's: which target, why, what to do. TARGET stands for the
    first target."""

    said: tuple[tuple[str, ...], ...]
    limit_s: float  # from the panic to the end; several times what it takes on an idle machine
    incomplete: bool = False  # there is a dump, part of the whole one


FAILURES: dict[str, Failure] = {
    "down": Failure(((f"error: {DEAD_TARGET}", "Connection refused", "check the address, the network and that sshd runs there"),
                     (f"error: {SILENT_TARGET.partition('?')[0]}", "Host is unreachable", "is the server running")), 120),
    "key": Failure((("error: ", "TARGET", "does not let this user in with this key", "add the public key"),), 90),
    "host-key": Failure((("error: ", "TARGET", "host key is another than in known_hosts", "ssh-keyscan"),), 90),
    "mute": Failure((("error: ", "TARGET", "the login took too long", "does an SSH server answer there?"),), 120),
    "hang": Failure((("warning: ", "TARGET", "vmcore.incomplete", "the server does not answer any more"),
                     ("warning: ", "TARGET", "the login took too long", "does an SSH server answer there?"),
                     ("TARGET", "nothing came of trying for 5 s"),
                     ("warning: ", "TARGET", "stays incomplete", "what landed can be read")), 180, incomplete=True),
    "full": Failure((("warning: ", "TARGET", "are free, and the dump may need up to"),
                     ("error: ", "TARGET", "vmcore.incomplete", "No space left on device", "free some space"),
                     ("warning: ", "TARGET", "vmcore.incomplete is incomplete", "what landed can be read")), 120, incomplete=True),
    "driver": Failure(((DUMP_UUID, "did not appear", "is the driver of its controller among the modules"),), 200),
    "stuck": Failure((("it does not move any more: killing the capture",),
                      ("the capture does not die; going on without waiting for it",),
                      ("going on without this target",)), 150, incomplete=True),
}


def _write_known_hosts(folder: Path, port: str) -> None:
    """With another key than the server's."""
    key = " ".join((folder / "client_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {key}\n")


@contextlib.contextmanager
def _mute(server: Server) -> Iterator[Server]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        yield dataclasses.replace(server, target=f"ssh://root@{HOST}:{listener.getsockname()[1]}/crash")


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [found for child in children for found in (child, *_descendants(child))]


@contextlib.contextmanager
def _hangs_in_dump(server: Server) -> Iterator[Server]:
    """In the middle of the dump the server and all its sessions stop; the kernel still takes connections."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            if any(dump.stat().st_size > HANG_AFTER for dump in server.crash_folder.glob("*/vmcore.incomplete")):
                for pid in _descendants(server.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield server
    finally:
        over.set()
        watcher.join()
        for pid in _descendants(server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def spoiled(cell: Cell, server: Server | None, work: Path) -> Iterator[Server | None]:
    """The server as the cell wants it to fail. The guest's initrd is built while this is open."""
    if not server or not cell.failure:
        yield server
        return
    folder = work / "server"
    if cell.failure == "down":
        yield dataclasses.replace(server, target=DEAD_TARGET, more_targets=(SILENT_TARGET,))
    elif cell.failure == "mute":
        with _mute(server) as other:
            yield other
    elif cell.failure == "hang":
        with _hangs_in_dump(server) as other:
            yield other
    else:
        if cell.failure == "key":
            (folder / "authorized_keys").write_text((folder / "host_key.pub").read_text())
        else:
            _write_known_hosts(folder, (folder / "port").read_text().strip())
        yield server


def judge_console(failure: Failure, target: str, console: str, capture_s: float) -> list[str]:
    """The reason was told, and the machine came back within the limit, by the action that fits."""
    after = console.partition(PANIC_MARK)[2]
    lines = [line for line in after.splitlines() if line.startswith("dumpwright: ")]
    wrong: list[str] = []
    for words in failure.said:
        wanted = [target if word == "TARGET" else word for word in words]
        if not any(all(word in line for word in wanted) for line in lines):
            wrong.append(f"no line says: {' ... '.join(wanted)}")
    # failure_action is reboot in these cells, final_action poweroff.
    expected = ((INCOMPLETE, "final action: poweroff") if failure.incomplete else (NOTHING_SAVED, "final action: reboot"))
    said = [line.removeprefix("dumpwright: ") for line in lines]
    ends = [line for line in said if line in (NOTHING_SAVED, INCOMPLETE, "the dump is complete") or "final action: " in line]
    if tuple(ends) != expected:
        wrong.append(f"the end is {ends}, expected {list(expected)}")
    if ("reboot: Power down" if failure.incomplete else "reboot: Restarting system") not in after:
        wrong.append("the kernel does not say that it carries out the action")
    if capture_s > failure.limit_s:
        wrong.append(f"{capture_s:.0f} s from the panic to the end, more than {failure.limit_s:.0f} s")
    return wrong


def judge_state(failure: Failure, crash_folder: Path) -> tuple[Path | None, list[str]]:
    """What there is of a dump where it would be: nothing that looks like one, or one incomplete dump."""
    state, dump, wrong = find_state(crash_folder)
    expected = State.INCOMPLETE if failure.incomplete else State.NONE
    if state != expected:
        wrong.append(f"there is '{state.value}', expected '{expected.value}'")
        return None, wrong
    return dump, wrong


def _first_target(cell: Cell, server: Server | None) -> str:
    return server.target.partition("?")[0] if server else f"dev:UUID={DUMP_UUID}:/crash"


def _folder(cell: Cell, server: Server | None, disk: Path, work: Path) -> Path:
    if server:
        return server.crash_folder
    return extract(cell.file_system, disk, work) if FAILURES[cell.failure].incomplete else work / "nothing"


def check_failure(cell: Cell, kernel: Kernel, machine: Machine, outcome: Outcome, server: Server | None, truth: RamTruth,
                  work: Path) -> list[Check]:
    failure = FAILURES[cell.failure]
    console = machine.console.read_text(errors="replace")
    capture_s = outcome.poweroff_s - outcome.panic_s
    said = "\n".join(line for line in console.splitlines() if line.startswith("dumpwright: "))
    wrong = judge_console(failure, _first_target(cell, server), console, capture_s)
    folder = _folder(cell, server, machine.dump_disk, work)
    dump, more = judge_state(failure, folder)
    checks = [Check(f"failure {cell.failure}", wrong + more, said, f"came back after {capture_s:.0f} s")]
    if dump is None:
        return checks
    found = judge(folder, cell.dump_level, truth, EXECUTABLE)
    checks += [Check("incomplete dump", found.complaints, f"{found.described} of {found.kept} pages"), check_saved_log(dump)]
    if found.described == 0:
        checks[1].complaints.append("it has no page at all")
    if cell.failure == "full":
        # crash says what the dump is.
        quirks = CrashQuirks(known_lines=(f"WARNING: {dump}:",))
        checks.append(crash_check(str(fetch_peer("crash")), quirks, kernel.vmlinux, dump, work))
    return checks
