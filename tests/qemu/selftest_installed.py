"""A panic on another CPU than the cell says, a capture kernel that wakes up the boot CPU, scripts that do not run."""

from __future__ import annotations

import unittest

from harness.cells import find_cells
from harness.installed import SAVED, SCRIPTS, judge_cpus, judge_scripts

__all__ = ["InstalledTest"]

CAPTURE = ("Kernel command line: root=/dev/vda nr_cpus=3 disable_cpu_apicid=0 loglevel=7 elfcorehdr=0x1\n"
           "APIC: Disabling requested cpu. Processor 3/0x0 ignored.\n")
BT = 'PID: 417      TASK: ffff888003a40000  CPU: 2    COMMAND: "sh"\n'


class InstalledTest(unittest.TestCase):
    def test_only_a_capture_without_the_boot_cpu_passes(self) -> None:
        cell = find_cells(["installed-three-cpus"])[0]
        self.assertEqual(judge_cpus(cell, CAPTURE, BT), [])
        for capture, bt in ((CAPTURE, BT.replace("CPU: 2", "CPU: 1")), (CAPTURE, BT.replace("CPU: 2", "CPU: 22")),
                            (CAPTURE.replace("apicid=0", "apicid=02"), BT), (CAPTURE.replace("0x0", "0x3"), BT)):
            with self.subTest(capture=capture, bt=bt):
                self.assertEqual(len(judge_cpus(cell, capture, bt)), 1)

    def test_only_scripts_that_run_before_and_after_the_dump_pass(self) -> None:
        before, after, saved = SCRIPTS["pre.d"] + "\r\n", SCRIPTS["post.d"] + "\r\n", SAVED + "/x/vmcore\r\n"
        self.assertEqual(judge_scripts(before + saved + after), [])
        incomplete = after.replace("complete", "incomplete")
        for capture, complaints in ((saved, 2), (before + saved, 1), (saved + after, 1), (before + after, 2),
                                    (after + saved + before, 2), (before + saved + incomplete, 1),
                                    (before + before + saved + after, 1), ("+ echo " + before + saved + after, 1)):
            with self.subTest(capture=capture):
                self.assertEqual(len(judge_scripts(capture)), complaints)
