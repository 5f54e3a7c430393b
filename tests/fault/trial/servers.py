"""Real servers, and the relay in front of them (tests/servers)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from trial.stage import Failure, Unable

SERVERS = Path(__file__).resolve().parents[2] / "servers"
START_LIMIT_S = 60
ANSWER_LIMIT_S = 30


class Service:
    """One of the scripts. It ends with the block, and when this program dies."""

    script = ""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port = folder, 0
        self._options = options
        self._process: subprocess.Popen | None = None

    def launch(self) -> None:
        """Does not wait until it answers: wait() does. Later ones have the port of the first."""
        (self.folder / "port").unlink(missing_ok=True)
        self.folder.mkdir(exist_ok=True)
        port = ["--port", str(self.port)] if self.port else []
        with open(f"{self.folder}.output", "ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", str(SERVERS / self.script), str(self.folder), *port,
                 *self._options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})

    def wait(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while not (self.folder / "port").exists():
            if self._process.poll() is not None or time.monotonic() > limit:
                said = Path(f"{self.folder}.output").read_text(errors="replace").strip()[-500:]
                raise Unable(f"{self.script} does not start: {said}")
            time.sleep(0.02)
        self.port = int((self.folder / "port").read_text())

    def end(self, number: int = signal.SIGKILL) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait()
        self._process = None

    def is_running(self) -> bool:
        return self._process is not None

    def freeze(self) -> None:
        """It reads and answers nothing, with its connections up."""
        if self._process and (self.folder / "port").exists():
            self._process.send_signal(signal.SIGUSR1)

    def thaw(self) -> None:
        if self._process and (self.folder / "port").exists():
            self._process.send_signal(signal.SIGUSR2)

    def __enter__(self) -> Service:
        self.launch()
        try:
            self.wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.end(signal.SIGTERM)


class Sshd(Service):
    script = "sshd"


class Nfs(Service):
    script = "nfs"

    @property
    def mount_port(self) -> int:
        return int((self.folder / "mountport").read_text())


class Relay(Service):
    script = "relay"

    def __init__(self, folder: Path, ports: list[int], seed: int) -> None:
        super().__init__(folder, *(word for port in ports for word in ("--to", str(port))),
                         "--seed", str(seed))
        self._control: socket.socket | None = None

    @property
    def second_port(self) -> int:
        return int((self.folder / "port2").read_text())

    def tell(self, *words: object) -> str:
        if self._control is None:
            self._control = socket.socket(socket.AF_UNIX)
            self._control.settimeout(ANSWER_LIMIT_S)
            # Its folder's path may be longer than such an address.
            descriptor = os.open(self.folder, os.O_PATH)
            try:
                self._control.connect(f"/proc/self/fd/{descriptor}/control")
            finally:
                os.close(descriptor)
            self._answers = self._control.makefile()
        self._control.sendall((" ".join(map(str, words)) + "\n").encode())
        answer = self._answers.readline().strip()
        if not answer or answer.startswith("error"):
            raise Failure(f"the relay was told {words}: {answer or 'no answer'}")
        return answer

    def stats(self) -> dict:
        return json.loads(self.tell("stats"))

    def make_well(self) -> None:
        """From now on a link without faults."""
        for words in ("accept", "go", "rate 0", "delay 0", "segments 0", "corrupt 0 up", "corrupt 0 down"):
            self.tell(words)

    def __exit__(self, *error) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.close()
        super().__exit__(*error)
