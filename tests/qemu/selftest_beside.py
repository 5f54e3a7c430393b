"""Cells that run beside one another: none is lost, none too many run, a failure stays one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness.base import HERE
from harness.beside import run_beside

__all__ = ["BesideTest"]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


class BesideTest(unittest.TestCase):
    def run_quietly(self, commands: list[list[str]], jobs: int) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            passed = run_beside(commands, jobs)
        return passed, said.getvalue()

    def test_each_runs_once_and_failures_do_not_count(self) -> None:
        passed, said = self.run_quietly([shell("echo one"), shell("echo two; echo out; exit 1"), shell("echo three >&2")], 2)
        self.assertEqual(passed, 2)
        self.assertEqual(sorted(said.split()), ["one", "out", "three", "two"])
        self.assertIn("two\nout\n", said)

    def test_no_more_at_a_time_than_asked(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as folder:
            script = f"mkdir {folder}/$$; sleep 0.1; ls {folder} | wc -l; rmdir {folder}/$$"
            for jobs in (1, 2):
                with self.subTest(jobs=jobs):
                    passed, said = self.run_quietly([shell(script)] * 4, jobs)
                    self.assertEqual(passed, 4)
                    self.assertLessEqual(max(int(word) for word in said.split()), jobs)

    def test_as_many_at_a_time_as_asked(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as folder:
            # Each waits until all three have begun.
            script = (f"mkdir {folder}/$$; for i in $(seq 300); do [ $(ls {folder} | wc -l) -eq 3 ] && exit 0; sleep 0.1; "
                      "done; exit 1")
            self.assertEqual(self.run_quietly([shell(script)] * 3, 3)[0], 3)

    def test_what_is_ended_early_ends_them(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as folder:
            program = (f"import signal, sys; sys.path.insert(0, {str(HERE)!r}); from harness.beside import run_beside\n"
                       "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
                       f"run_beside([['sh', '-c', 'trap \"touch {folder}/ended; exit\" TERM; touch {folder}/started; "
                       "while :; do sleep 0.05; done']], 2)")
            process = subprocess.Popen([sys.executable, "-c", program])
            while not (Path(folder) / "started").exists() and process.poll() is None:
                time.sleep(0.01)
            process.terminate()
            self.assertEqual(process.wait(timeout=60), 143)
            deadline = time.monotonic() + 60
            while not (Path(folder) / "ended").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
