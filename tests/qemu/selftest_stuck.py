"""A watchdog that did not act, or acted for another reason."""

from __future__ import annotations

import unittest

from harness.stuck import judge_reset

__all__ = ["StuckTest"]

CONSOLE = "dumpwright: watchdog: /dev/watchdog0 is fed while the capture moves\n"
WATCHDOG_LOG = "watchdog_perform_action action=0\n"


class StuckTest(unittest.TestCase):
    def test_only_a_fed_watchdog_that_acted_passes(self) -> None:
        self.assertEqual(judge_reset(CONSOLE, WATCHDOG_LOG, 220), [])
        for console, log, seconds in (("", WATCHDOG_LOG, 220), (CONSOLE, "", 220), (CONSOLE, WATCHDOG_LOG, 70),
                                      (CONSOLE + "dumpwright: NO DUMP WAS SAVED\n", WATCHDOG_LOG, 220)):
            with self.subTest(console=console, log=log, seconds=seconds):
                self.assertEqual(len(judge_reset(console, log, seconds)), 1)
