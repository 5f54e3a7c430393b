"""The part of selftest about power cuts: the disk, its log, and what it may lose."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from harness.base import HarnessError
from harness.lossy_disk import Cut, CutChooser, build_image
from harness.nbd_disk import MAX_PAYLOAD, SECTOR, NbdDisk
from harness.write_log import Kind, LogWriter, Record, WriteLog

__all__ = ["LossyDiskTest", "NbdDiskTest"]

READ, WRITE, FLUSH, ZEROES = 0, 1, 3, 6
SIZE = 1 << 20


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="dumpwright-selftest-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class Client:
    """Of an NBD server, as far as these tests go."""

    def __init__(self, address: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(address))
        self.receive(18)
        self.socket.sendall(struct.pack(">I8sIIIH", 3, b"IHAVEOPT", 7, 6, 0, 0))
        export, sizes, done = self.receive(20 + 12), self.receive(20 + 14), self.receive(20)
        self.size, self.flags = struct.unpack(">QH", export[22:])
        self.least, _, self.most = struct.unpack(">III", sizes[22:])
        self.agreed = struct.unpack(">QIII", done)[2] == 1

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the server hung up")
            data += part
        return data

    @staticmethod
    def request(kind: int, offset: int = 0, data: bytes = b"", length: int | None = None, flags: int = 0) -> bytes:
        return struct.pack(">IHHQQI", 0x25609513, flags, kind, 77, offset, len(data) if length is None else length) + data

    def ask(self, *requests: bytes, read: int = 0) -> tuple[list[int], bytes]:
        """Sends them at once. The errors of the answers, and what the last one reads."""
        self.socket.sendall(b"".join(requests))
        errors = [struct.unpack(">IIQ", self.receive(16))[1] for _ in requests]
        return errors, self.receive(read) if errors[-1] == 0 else b""


class NbdDiskTest(Folder):
    def setUp(self) -> None:
        super().setUp()
        self.image, self.log = self.folder / "image", self.folder / "log"
        self.image.write_bytes(b"o" * SIZE)

    @contextlib.contextmanager
    def served(self, limit: int = 4 * SIZE) -> Iterator[Client]:
        with NbdDisk(self.image, self.log, self.folder / "socket", limit) as self.disk:
            client = Client(self.folder / "socket")
            yield client
            client.socket.close()

    def test_handshake_tells_size_and_abilities(self) -> None:
        with self.served() as client:
            self.assertEqual((client.size, client.flags, client.least, client.most, client.agreed),
                             (SIZE, 0b1101101, SECTOR, MAX_PAYLOAD, True))
        self.assertEqual(self.disk.failure, "")

    def test_what_is_written_is_read_and_logged(self) -> None:
        data = os.urandom(3 * SECTOR)
        with self.served() as client:
            self.assertEqual(client.ask(client.request(WRITE, 4096, data))[0], [0])
            self.assertEqual(client.ask(client.request(ZEROES, 8192, length=4096, flags=1))[0], [0])
            self.assertEqual(client.ask(client.request(FLUSH))[0], [0])
            self.assertEqual(client.ask(client.request(READ, 4096, length=1536), read=1536), ([0], data))
        found = [(record.kind, record.fua, record.offset, record.length) for record in WriteLog(self.log).records]
        self.assertEqual(found, [(Kind.WRITE, False, 4096, 1536), (Kind.ZERO, True, 8192, 4096), (Kind.FLUSH, False, 0, 0)])
        image = self.image.read_bytes()
        self.assertEqual((image[4096:5632], image[8192:12288], image[12288:12289]), (data, bytes(4096), b"o"))

    def test_flush_covers_only_what_was_answered_before(self) -> None:
        with self.served() as client:
            client.ask(client.request(WRITE, 0, bytes(512)))
            client.ask(client.request(WRITE, 512, bytes(512)), client.request(FLUSH))
        first, second, flush = WriteLog(self.log).records
        self.assertLess(first.batch, flush.batch)
        self.assertEqual(second.batch, flush.batch)

    def test_wrong_requests_are_refused(self) -> None:
        with self.served() as client:
            for request in (client.request(WRITE, SIZE, bytes(512)), client.request(WRITE, 100, bytes(512)),
                            client.request(READ, SIZE - 512, length=1024), client.request(READ, 0, length=0),
                            client.request(ZEROES, 1 << 63, length=512), client.request(9), client.request(FLUSH, flags=64),
                            client.request(READ, 0, length=MAX_PAYLOAD + 512)):
                self.assertEqual(client.ask(request)[0], [22])
        self.assertEqual(WriteLog(self.log).records, [])
        self.assertEqual(self.image.read_bytes(), b"o" * SIZE)

    def assert_hangs_up(self, request: bytes, why: str, limit: int = 4 * SIZE) -> None:
        with self.served(limit) as client, contextlib.suppress(BrokenPipeError):
            with self.assertRaises(ConnectionError):
                client.ask(request)
        self.assertRegex(self.disk.failure, why)

    def test_nonsense_ends_the_connection(self) -> None:
        self.assert_hangs_up(Client.request(WRITE, length=MAX_PAYLOAD + 512), "request 1 with .* bytes")
        self.assert_hangs_up(b"x" * 28, "with magic 0x78787878")

    def test_full_log_ends_the_connection(self) -> None:
        self.assert_hangs_up(Client.request(WRITE, 0, bytes(8192)), "more than the log", limit=8192)


def make_log(path: Path, *steps: tuple[int, bytes] | None) -> WriteLog:
    """A log of writes, one after the other; None is a flush."""
    log = LogWriter(path, 64 * SIZE)
    for number, step in enumerate(steps):
        at_s = number / 10
        if step is None:
            log.add(Record(Kind.FLUSH, False, number, 0, 0, at_s))
        else:
            log.add(Record(Kind.WRITE, False, number, step[0], len(step[1]), at_s), step[1])
    log.close()
    return WriteLog(path)


class LossyDiskTest(Folder):
    """16 sectors of o; b over the first eight, flushed; c over 4 to 12; d over 6 to 16 is under way."""

    SECTORS = 16

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "base").write_bytes(b"o" * self.SECTORS * SECTOR)
        self.log = make_log(self.folder / "log", (0, b"b" * 8 * SECTOR), None, (4 * SECTOR, b"c" * 8 * SECTOR),
                            (6 * SECTOR, b"d" * 10 * SECTOR))

    def after(self, cut: Cut, lying_cache: int = 0) -> str:
        """One letter for each sector."""
        build_image(self.folder / "base", self.log, cut, self.folder / "image", lying_cache)
        data = (self.folder / "image").read_bytes()
        sectors = [data[at:at + SECTOR] for at in range(0, len(data), SECTOR)]
        self.assertTrue(all(sector == sector[:1] * SECTOR for sector in sectors), "a sector was torn")
        return "".join(chr(sector[0]) for sector in sectors)

    def test_all_or_nothing(self) -> None:
        self.assertEqual(self.after(Cut(0, whole=1)), "oooooooooooooooo")
        self.assertEqual(self.after(Cut(3, whole=0)), "bbbbbbbboooooooo")
        self.assertEqual(self.after(Cut(3, whole=1)), "bbbbccccccccoooo")
        self.assertEqual(self.after(Cut(4, whole=1)), "bbbbccdddddddddd")

    def test_torn_writes_take_every_form(self) -> None:
        seen = {self.after(Cut(4, 0.3, 0.7, seed)) for seed in range(300)}
        for found in seen:
            self.assertRegex(found, "^b{4}[bc]{2}[bcd]{2}[ocd]{4}[od]{4}$")
        self.assertGreater(len(seen), 50)
        for pattern in ("^.{6}dd", "^b{4}cc.*o$", "^bbbbbb.*d", "^.{4}(bc|cb)"):
            self.assertTrue([found for found in seen if re.search(pattern, found)], pattern)

    def test_write_under_way_is_torn(self) -> None:
        seen = {self.after(Cut(3, 0, 1, seed)) for seed in range(50)}
        self.assertTrue(any("d" in found for found in seen) and any("d" not in found for found in seen))

    def test_same_seed_same_image(self) -> None:
        self.assertEqual(self.after(Cut(4, 0.5, 0.5, 11)), self.after(Cut(4, 0.5, 0.5, 11)))
        chosen = [[CutChooser(self.log, 1, seed).choose(number) for number in range(10)] for seed in (1, 1, 2)]
        self.assertEqual(chosen[0], chosen[1])
        self.assertNotEqual(chosen[0], chosen[2])

    def test_a_lying_disk_loses_what_was_flushed(self) -> None:
        self.assertEqual(self.after(Cut(3, whole=0), lying_cache=64 * SECTOR), "o" * self.SECTORS)
        self.assertEqual(self.after(Cut(3, whole=0), lying_cache=10 * SECTOR), "bbbbbbbboooooooo")

    def test_log_that_is_cut_off_fails(self) -> None:
        data = (self.folder / "log").read_bytes()
        for wrong in (b"", data[:-1], data[:12], b"x" + data[1:]):
            (self.folder / "log").write_bytes(wrong)
            with self.assertRaises((HarnessError, ValueError)):
                WriteLog(self.folder / "log")
