"""The part of selftest about what the guest was: its machine, and what it had in its memory."""

from __future__ import annotations

import dataclasses
import unittest

from harness.base import HarnessError
from harness.cells import Cell
from harness.facts import check_facts, ram_truth
from harness.iomem import Span
from harness.machine import MIB

__all__ = ["FactsTest"]

IOMEM = ("\ndumpwright-test: iomem begins\n00100000-3fffffff : System RAM\n"
         "  30000000-37ffffff : Crash kernel\ndumpwright-test: iomem ends")
FACTS = {"Dirty": 61464, "AnonHugePages": 92160, "Nodes": 2, "CPUs": 2, "FiveLevels": 0}


class FactsTest(unittest.TestCase):
    CELL = Cell("numa", numa_nodes=2, cmdline=("no5lvl",), fill_mib=600)

    @staticmethod
    def console(**changed: int) -> str:
        lines = (f"{name}:   {value} kB" for name, value in {**FACTS, **changed}.items())
        return "\r\n".join(("dumpwright-test: facts begin", *lines, "dumpwright-test: facts end"))

    def test_the_described_guest_passes(self) -> None:
        self.assertEqual(check_facts(self.CELL, self.console() + IOMEM).complaints, [])

    def test_another_guest_fails(self) -> None:
        for changed in ({"Nodes": 1}, {"CPUs": 1}, {"FiveLevels": 1}, {"Dirty": 0}, {"AnonHugePages": 0}):
            with self.subTest(changed):
                self.assertEqual(len(check_facts(self.CELL, self.console(**changed) + IOMEM).complaints), 1)

    FEATURES = Cell("all", hugepages=48, gigantic=True, poison=("anon", "hugetlb"), offline_block=True,
                    balloon_mib=64, holes=((1024, 64),))
    FEATURE_FACTS = {"Nodes": 1, "HugePages_Total": 47, "GiganticPages": 1, "Poisonedanon": 70, "Poisonedhugetlb": 5000,
                     "HardwareCorrupted": 8, "OfflineBlock": 5, "BlockBytes": 128 * MIB, "Ballooned": 65536}

    def feature_console(self, **changed: int) -> str:
        return (self.console(**{**self.FEATURE_FACTS, **changed})
                + IOMEM)

    def test_features_that_are_there_pass(self) -> None:
        console = self.feature_console()
        self.assertEqual(check_facts(self.FEATURES, console).complaints, [])
        truth = ram_truth(self.FEATURES, console, [])
        self.assertEqual((truth.never, truth.balloon_pages, truth.stale),
                         ([70, 5000], 16384, [Span(640 * MIB, 768 * MIB), Span(18 * MIB, 20 * MIB)]))

    def test_each_absent_feature_fails(self) -> None:
        for name in ("HugePages_Total", "GiganticPages", "Poisonedanon", "Poisonedhugetlb", "HardwareCorrupted",
                     "Ballooned"):
            with self.subTest(name):
                complaints = check_facts(self.FEATURES, self.feature_console(**{name: 0})).complaints
                self.assertEqual(len(complaints), 1)
                self.assertIn(name, complaints[0])
        online = self.feature_console().replace("OfflineBlock", "Other")
        self.assertIn("no memory block is offline", check_facts(self.FEATURES, online).complaints[0])
        cell = dataclasses.replace(self.FEATURES, holes=((1000, 64),))
        self.assertIn("expected a hole", check_facts(cell, self.feature_console()).complaints[0])
        cell = dataclasses.replace(self.FEATURES, offline_block=False)
        self.assertIn("HugePages_Free", check_facts(cell, self.feature_console()).complaints[0])

    def test_number_of_cpus_of_the_capture_kernel(self) -> None:
        cell = Cell("two", numa_nodes=2, capture_cpus=2)
        for line, good in (("smp: Brought up 1 node, 2 CPUs", True),
                           ("smp: Brought up 1 node, 1 CPU", False), ("", False)):
            console = self.console() + IOMEM + "\ndumpwright-test: panic follows\n" + line
            self.assertEqual(not check_facts(cell, console).complaints, good, line)

    def test_silence_fails(self) -> None:
        with self.assertRaises(HarnessError):
            check_facts(self.CELL, "")
