"""Dumps that went to a server: which lines of the console prove how."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from harness.base import HarnessError
from harness.cells import CELLS, Cell
from harness.initrds import DUMP_UUID
from harness.sent import judge_announced, judge_network, judge_reports
from harness.servers import DEAD_TARGET, network_cmdline, server_for

__all__ = ["SentTest"]

BY_DHCP = "dumpwright: network: eth0 (virtio_net, x): 10.0.2.15/24, gateway 10.0.2.2, by DHCP from 10.0.2.2"
STATIC = "dumpwright: network: eth0 (virtio_net, x): 10.0.2.15/24, gateway 10.0.2.2"
OWN = STATIC.replace("eth0", "dump0")
DEFAULT = "dumpwright: network: no ip= on the kernel's command line: DHCP on every interface\n"


class SentTest(unittest.TestCase):
    def test_each_way_proves_itself_and_no_other(self) -> None:
        consoles = {"dhcp": BY_DHCP, "static": STATIC, "own": OWN, "": DEFAULT + BY_DHCP}
        for wanted in consoles:
            for there, console in consoles.items():
                with self.subTest(wanted=wanted, there=there):
                    self.assertEqual(not judge_network(Cell("x", server="ssh", ip=wanted), console), wanted == there)
            self.assertTrue(judge_network(Cell("x", server="ssh", ip=wanted), ""))

    def test_only_cells_with_a_server_have_a_network(self) -> None:
        for cell in CELLS:
            self.assertFalse(cell.ip and not cell.server, cell.name)
            network_cmdline(cell)

    def test_reports_that_do_not_name_what_failed(self) -> None:
        failed = [{"target": DEAD_TARGET, "why": "Connection refused"}]
        good = ({"state": "complete", "failed_targets": failed},
                {"state": "saved elsewhere", "saved_to": f"dev:UUID={DUMP_UUID}:/crash/x", "failed_targets": failed})
        self.assertEqual(judge_reports(*map(json.dumps, good)), [])
        for number, change in ((0, {"state": "saving"}), (0, {"failed_targets": []}), (1, {"saved_to": ""}),
                               (1, {"state": "starting"}), (0, {"failed_targets": [{"target": DEAD_TARGET, "why": "?"}]}),
                               (1, {"failed_targets": failed + [{"target": "raw:/dev/x", "why": "?"}]})):
            bad = [dict(report) for report in good]
            bad[number] |= change
            with self.subTest(number=number, change=change):
                self.assertTrue(judge_reports(*map(json.dumps, bad)))
        self.assertTrue(judge_reports("", "{}"))

    def test_a_report_that_came_late(self) -> None:
        dead = f"dumpwright: warning: no report to {DEAD_TARGET} yet: refused\n"
        self.assertEqual(judge_announced(dead), [])
        self.assertTrue(judge_announced(dead + dead.replace("root", "other")))
        self.assertTrue(judge_announced(""))

    def test_a_server_that_does_not_start_is_told(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as folder:
            work = Path(folder)
            (work / "server").mkdir()
            (work / "server" / "sshd_config").mkdir()  # where the script wants to write
            with self.assertRaisesRegex(HarnessError, "did not start"), server_for(Cell("x", server="ssh"), work):
                pass
            with server_for(Cell("x"), work) as server:
                self.assertIsNone(server)
