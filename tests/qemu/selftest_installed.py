"""A panic that was on another CPU than the cell says, and a capture kernel that wakes up the boot CPU."""

from __future__ import annotations

import unittest

from harness.cells import find_cells
from harness.installed import judge_cpus

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
