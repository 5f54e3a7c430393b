"""A disk for a guest, served to QEMU over NBD, which logs every write and flush.

The guest sees an ordinary disk with a volatile write cache. What it would hold after a power cut at any moment
is found out afterwards, from the log (lossy_disk.py). The protocol: doc/proto.md of the NBD project, fixed newstyle
handshake, simple replies, one connection. Nothing that the client says is trusted: every length has a limit.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path

from harness.base import HarnessError
from harness.write_log import Kind, LogWriter, Record, write_all, write_zeros

_GREETING = struct.Struct(">8s8sH")
_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_REQUEST = struct.Struct(">IHHQQI")  # magic, flags, kind, cookie, offset, length
_REPLY = struct.Struct(">IIQ")
_OPTION_REPLY_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_INFO, _OPT_GO = 1, 2, 6, 7
_REP_ACK, _REP_INFO, _REP_UNSUPPORTED, _REP_INVALID = 1, 3, 1 << 31 | 1, 1 << 31 | 3
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3
# HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES
_EXPORT_FLAGS = 1 | 4 | 8 | 32 | 64
_READ, _WRITE, _DISCONNECT, _FLUSH, _TRIM, _WRITE_ZEROES = 0, 1, 2, 3, 4, 6
_FUA = 1
_EIO, _EINVAL = 5, 22

SECTOR = 512
MAX_PAYLOAD = 32 << 20  # of one read or write, which is what QEMU uses at most
MAX_WAITING = 64 << 20  # bytes of requests taken in before they are answered
MAX_OPTION = 4096
MAX_OPTIONS = 32
ACCEPT_LIMIT_S = 60


class _Gone(Exception):
    """The client ended the connection, as it may at any time."""


class NbdDisk:
    """Serves `image` from start() to close(), in a thread of its own. A context manager."""

    def __init__(self, image: Path, log: Path, address: Path, log_limit: int) -> None:
        self.address = address
        self.failure = ""  # why it stopped serving, if not because the client went
        self._image = os.open(image, os.O_RDWR)
        self._size = os.fstat(self._image).st_size
        self._log = LogWriter(log, log_limit)
        self._start = time.monotonic()
        self._batch = 0
        self._waiting = bytearray()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen(1)
        self._listener.settimeout(ACCEPT_LIMIT_S)
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> NbdDisk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The log is complete after that."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.address.unlink(missing_ok=True)

    def _serve(self) -> None:
        try:
            self._client, _ = self._listener.accept()
            with self._client:
                if self._negotiate():
                    while self._serve_batch():
                        pass
        except (_Gone, ConnectionError):
            pass
        except (HarnessError, OSError, ValueError) as error:
            self.failure = f"the guest's disk: {error}"
        finally:
            self._log.close()
            os.close(self._image)

    # The handshake.

    def _receive(self, count: int) -> bytes:
        assert self._client is not None
        data = bytearray()
        while len(data) < count:
            part = self._client.recv(count - len(data))
            if not part:
                raise _Gone
            data += part
        return bytes(data)

    def _send(self, *parts: bytes) -> None:
        assert self._client is not None
        self._client.sendall(b"".join(parts))

    def _answer_option(self, option: int, reply: int, data: bytes = b"") -> None:
        self._send(_OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, reply, len(data)), data)

    def _negotiate(self) -> bool:
        """Whether the client then sends requests."""
        self._send(_GREETING.pack(b"NBDMAGIC", b"IHAVEOPT", _FIXED_NEWSTYLE | _NO_ZEROES))
        flags, = struct.unpack(">I", self._receive(4))
        for _ in range(MAX_OPTIONS):
            magic, option, length = _OPTION.unpack(self._receive(_OPTION.size))
            if magic != b"IHAVEOPT" or length > MAX_OPTION:
                raise ValueError(f"option {option} with {length} bytes")
            data = self._receive(length)
            if option == _OPT_EXPORT_NAME:
                self._send(struct.pack(">QH", self._size, _EXPORT_FLAGS), b"" if flags & _NO_ZEROES else bytes(124))
                return True
            if option == _OPT_ABORT:
                self._answer_option(option, _REP_ACK)
                return False
            if option in (_OPT_INFO, _OPT_GO):
                self._tell_export(option, data)
                if option == _OPT_GO:
                    return True
            else:
                self._answer_option(option, _REP_UNSUPPORTED)
        raise ValueError("too many options")

    def _tell_export(self, option: int, data: bytes) -> None:
        if len(data) < 6 or struct.unpack_from(">I", data)[0] > len(data) - 6:
            self._answer_option(option, _REP_INVALID)
            raise ValueError("a malformed request for an export")
        self._answer_option(option, _REP_INFO, struct.pack(">HQH", _INFO_EXPORT, self._size, _EXPORT_FLAGS))
        self._answer_option(option, _REP_INFO, struct.pack(">HIII", _INFO_BLOCK_SIZE, SECTOR, 4096, MAX_PAYLOAD))
        self._answer_option(option, _REP_ACK)

    # Requests.

    def _serve_batch(self) -> bool:
        """Takes in all that has come so far and answers it. What comes together was sent before the answers to it: no flush
        in it covers a write in it."""
        self._take_in()
        self._batch += 1
        at = 0
        while len(self._waiting) - at >= _REQUEST.size:
            magic, flags, kind, cookie, offset, length = _REQUEST.unpack_from(self._waiting, at)
            payload = length if kind == _WRITE else 0
            if magic != _REQUEST_MAGIC or payload > MAX_PAYLOAD:
                raise ValueError(f"request {kind} with magic {magic:#x} and {payload} bytes")
            if len(self._waiting) - at - _REQUEST.size < payload:
                break
            if kind == _DISCONNECT:
                return False
            at += _REQUEST.size
            with memoryview(self._waiting) as waiting, waiting[at:at + payload] as data:
                error, answer = self._carry_out(kind, flags, offset, length, data)
            self._send(_REPLY.pack(_REPLY_MAGIC, error, cookie), answer)
            at += payload
        del self._waiting[:at]
        return True

    def _take_in(self) -> None:
        assert self._client is not None
        self._waiting += self._receive(1)
        while len(self._waiting) < MAX_WAITING:
            try:
                part = self._client.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not part:
                raise _Gone
            self._waiting += part

    def _carry_out(self, kind: int, flags: int, offset: int, length: int,
                   data: memoryview) -> tuple[int, bytes]:
        """The errno of the reply, and what is read."""
        if kind not in (_READ, _WRITE, _FLUSH, _TRIM, _WRITE_ZEROES) or flags & ~(_FUA | 2):
            return _EINVAL, b""
        if kind != _FLUSH and (offset > self._size or length > self._size - offset
                               or offset % SECTOR or length % SECTOR or length == 0):
            return _EINVAL, b""
        if kind == _READ:
            if length > MAX_PAYLOAD:
                return _EINVAL, b""
            found = os.pread(self._image, length, offset)
            return (0, found) if len(found) == length else (_EIO, b"")
        self._keep(kind, bool(flags & _FUA), offset, length, data)
        return 0, b""

    def _keep(self, kind: int, fua: bool, offset: int, length: int, data: memoryview) -> None:
        sort = {_WRITE: Kind.WRITE, _FLUSH: Kind.FLUSH}.get(kind, Kind.ZERO)
        if sort == Kind.FLUSH:
            offset = length = 0
        self._log.add(Record(sort, fua, self._batch, offset, length, time.monotonic() - self._start), data)
        if sort == Kind.WRITE:
            write_all(self._image, data, offset)
        elif sort == Kind.ZERO:
            write_zeros(self._image, offset, length)
