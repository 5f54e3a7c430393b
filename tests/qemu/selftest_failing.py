"""Failures of a target that were not told, or that the machine did not come back from as it should."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness.cells import CELLS, Cell
from harness.failing import FAILURES, HANG_AFTER, INCOMPLETE, NOTHING_SAVED, POLL_S, Failure, judge_console, judge_state, spoiled
from harness.machine import PANIC_MARK
from harness.saved import DUMP_FOLDER
from harness.servers import DEAD_TARGET, HOST, SILENT_TARGET, Server

__all__ = ["FailingTest", "SpoiledTest"]

TARGET = "ssh://root@10.0.2.2:2222/crash"
FOLDER = "guest.example-20260102T030405Z"


def console_of(failure: Failure) -> str:
    told = [" - ".join(TARGET if word == "TARGET" else word for word in words) for words in failure.said]
    end = ((INCOMPLETE, "final action: poweroff") if failure.incomplete else (NOTHING_SAVED, "final action: reboot"))
    kernel = "reboot: Power down" if failure.incomplete else "reboot: Restarting system"
    return "\n".join((PANIC_MARK, *(f"dumpwright: {line}" for line in (*told, *end)), f"[   33.4] {kernel}", ""))


class FailingTest(unittest.TestCase):
    def test_each_failure_proves_itself_and_no_other(self) -> None:
        for wanted, failure in FAILURES.items():
            for there, other in FAILURES.items():
                with self.subTest(wanted=wanted, there=there):
                    wrong = judge_console(failure, TARGET, console_of(other), 1)
                    self.assertEqual(not wrong, wanted == there, wrong)

    def test_each_thing_that_is_not_told_is_missed(self) -> None:
        for name, failure in FAILURES.items():
            console = console_of(failure)
            for words in failure.said:
                for word in words:
                    with self.subTest(name, word=word):
                        text = console.replace(TARGET if word == "TARGET" else word, "something")
                        self.assertTrue(judge_console(failure, TARGET, text, 1))

    def test_the_wrong_end(self) -> None:
        failure = FAILURES["key"]
        console = console_of(failure)
        for old, new in (("final action: reboot", "final action: poweroff"), ("NO DUMP WAS SAVED", INCOMPLETE),
                         ("dumpwright: NO DUMP", "NO DUMP"), ("Restarting system", "Power down"),
                         ("dumpwright: NO DUMP", "dumpwright: the dump is complete\ndumpwright: NO DUMP")):
            with self.subTest(old=old, new=new):
                self.assertEqual(len(judge_console(failure, TARGET, console.replace(old, new), 1)), 1)
        self.assertEqual(len(judge_console(failure, TARGET, console, failure.limit_s + 1)), 1)
        self.assertTrue(judge_console(failure, TARGET, console.replace(PANIC_MARK, ""), 1))

    def test_what_there_is_of_a_dump(self) -> None:
        self.assertTrue(DUMP_FOLDER.fullmatch(FOLDER))
        for there, passes in ((None, "key"), ("vmcore.incomplete", "hang"), ("vmcore", "")):
            with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as name:
                if there:
                    (Path(name) / FOLDER).mkdir()
                    (Path(name) / FOLDER / there).write_bytes(b"KDUMP   ")
                for failure in ("key", "hang"):
                    with self.subTest(there=there, failure=failure):
                        dump, wrong = judge_state(FAILURES[failure], Path(name))
                        self.assertEqual((not wrong, dump is not None), (failure == passes, failure == passes == "hang"))

    def test_cells_and_failures_are_the_same(self) -> None:
        cells = {cell.failure: cell for cell in CELLS if cell.failure}
        self.assertEqual(set(cells), set(FAILURES))
        for name, cell in cells.items():
            self.assertIn("failure_action reboot", cell.config, name)
            self.assertGreater(cell.time_limit_s, FAILURES[name].limit_s, name)


class SpoiledTest(unittest.TestCase):
    """The server has to be broken in the way that the cell says."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.work = Path(holder.name)
        folder = self.work / "server"
        folder.mkdir()
        for name, text in (("port", "2222\n"), ("client_key.pub", "ssh-ed25519 CLIENT x\n"), ("host_key.pub", "ssh-ed25519 HOST x\n"),
                           ("authorized_keys", "ssh-ed25519 CLIENT x\n"), ("known_hosts", f"[{HOST}]:2222 ssh-ed25519 HOST\n")):
            (folder / name).write_text(text)
        self.server = Server(TARGET, (), folder / "data/crash")

    def text(self, name: str) -> str:
        return (self.work / "server" / name).read_text()

    def test_keys(self) -> None:
        with spoiled(Cell("x", server="ssh", failure="key"), self.server, self.work) as server:
            self.assertEqual(server, self.server)
            self.assertNotIn("CLIENT", self.text("authorized_keys"))
            self.assertIn("HOST", self.text("known_hosts"))
        with spoiled(Cell("x", server="ssh", failure="host-key"), self.server, self.work):
            self.assertEqual(self.text("known_hosts"), f"[{HOST}]:2222 ssh-ed25519 CLIENT\n")

    def test_other_targets(self) -> None:
        with spoiled(Cell("x", server="ssh", failure="down"), self.server, self.work) as server:
            assert server
            self.assertEqual((server.target, server.more_targets), (DEAD_TARGET, (SILENT_TARGET,)))
        with spoiled(Cell("x", server="ssh", failure="mute"), self.server, self.work) as server:
            assert server
            port = int(server.target.rpartition(":")[2].partition("/")[0])
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.settimeout(0.2)
                with self.assertRaises(TimeoutError):
                    client.recv(1)

    def wait_for_state(self, pid: int, state: str) -> None:
        for _ in range(1000):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == state:
                return
            time.sleep(0.02)
        self.fail(f"process {pid} never was in state {state}")

    def test_all_of_a_server_stops_in_the_middle_of_the_dump(self) -> None:
        dump = self.server.crash_folder / FOLDER / "vmcore.incomplete"
        dump.parent.mkdir(parents=True)
        with subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            session = int(parent.stdout.readline())
            try:
                with spoiled(Cell("x", server="ssh", failure="hang"), dataclasses.replace(self.server, pid=parent.pid), self.work):
                    with open(dump, "wb") as file:
                        file.truncate(HANG_AFTER)
                        time.sleep(5 * POLL_S)
                        self.wait_for_state(session, "S")
                        file.truncate(HANG_AFTER + 1)
                    self.wait_for_state(session, "T")
                self.wait_for_state(session, "S")
            finally:
                os.kill(session, signal.SIGKILL)

    def test_no_failure_changes_nothing(self) -> None:
        for cell, server in ((Cell("x", server="ssh"), self.server), (Cell("x", failure="full"), None)):
            with spoiled(cell, server, self.work) as same:
                self.assertEqual(same, server)
        self.assertIn("CLIENT", self.text("authorized_keys"))
