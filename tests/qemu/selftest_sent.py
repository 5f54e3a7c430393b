"""Dumps that went to a server: which lines of the console prove how."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from harness.base import HarnessError
from harness.cells import CELLS, Cell
from harness.sent import judge_network
from harness.servers import network_cmdline, server_for

BY_DHCP = "dumpwright: network: eth0 (virtio_net, x): 10.0.2.15/24, gateway 10.0.2.2, by DHCP from 10.0.2.2"
STATIC = "dumpwright: network: eth0 (virtio_net, x): 10.0.2.15/24, gateway 10.0.2.2"
DEFAULT = "dumpwright: network: no ip= on the kernel's command line: DHCP on every interface\n"


class SentTest(unittest.TestCase):
    def test_each_way_proves_itself_and_no_other(self) -> None:
        consoles = {"dhcp": BY_DHCP, "static": STATIC, "": DEFAULT + BY_DHCP}
        for wanted in consoles:
            for there, console in consoles.items():
                with self.subTest(wanted=wanted, there=there):
                    self.assertEqual(not judge_network(Cell("x", server="ssh", ip=wanted), console), wanted == there)
            self.assertTrue(judge_network(Cell("x", server="ssh", ip=wanted), ""))

    def test_only_cells_with_a_server_have_a_network(self) -> None:
        for cell in CELLS:
            self.assertFalse(cell.ip and not cell.server, cell.name)
            network_cmdline(cell)

    def test_a_server_that_does_not_start_is_told(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dumpwright-selftest-") as folder:
            work = Path(folder)
            (work / "server").mkdir()
            (work / "server" / "sshd_config").mkdir()  # where the script wants to write
            with self.assertRaisesRegex(HarnessError, "did not start"), server_for(Cell("x", server="ssh"), work):
                pass
            with server_for(Cell("x"), work) as server:
                self.assertIsNone(server)
