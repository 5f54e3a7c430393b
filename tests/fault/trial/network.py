"""ssh, nfs3, nfs4: between the capture and a real server stands a relay that does what networks do."""

from __future__ import annotations

import contextlib
import filecmp
import json
import random
import re
import shutil
from pathlib import Path

from trial.attempts import Attempts
from trial.faults import Fault, Faults, drive
from trial.remains import PagesSeen, check_finished, check_remains, look
from trial.servers import Nfs, Relay, Service, Sshd
from trial.stage import Failure, Reference, Shape, Stage, empty, expect, tmpfs

SHAPES = [Shape()] * 3 + [Shape(compress="zstd"), Shape(compress="zlib"), Shape("stream", "zstd"),
                          Shape("stream", "lz4"), Shape("elf")]
# What the server writes to is memory: how long a disk takes is not what this is about.
MEMORY_MIB = 2048
REPLY_LIMIT_S = 1
LIMITS = ["--connect-timeout", "10", "--reply-timeout", str(REPLY_LIMIT_S), "--sync-timeout", "4"]
RETRY_S, SHORT_RETRY_S = 60, 3
# A run that finds the dump whole asks, and sends no data.
QUESTIONS_BYTES = 256 << 10
REPORT_LOST = re.compile(r"warning: \w+://\S+/vmcore\.json: ")


class Network:
    """Trials that only differ in the server and its protocol."""

    kind = ""
    # Whether the protocol notices flipped bits.
    notices_flips = True

    def __init__(self, stage: Stage, mib: int) -> None:
        self.stage = stage
        self.mibs = (mib // 2, mib * 3 // 4, mib)
        self.data = stage.folder / f"{self.kind}-data"
        self.target = self.data / "dumps"
        self._cleanup = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as cleanup:
            folder = self.stage.folder
            cleanup.enter_context(tmpfs(self.data, MEMORY_MIB << 10))
            self.server = cleanup.enter_context(self.make_server(folder / f"{self.kind}-server"))
            self.relay = cleanup.enter_context(
                Relay(folder / f"{self.kind}-relay", self.ports(), self.stage.seed))
            self.faults = Faults(self.server, self.relay, REPLY_LIMIT_S, corrupt=self.notices_flips)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._cleanup.__exit__(*error)

    def make_server(self, folder: Path) -> Service:
        raise NotImplementedError

    def ports(self) -> list[int]:
        """What the relay is in front of."""
        raise NotImplementedError

    def address(self) -> str:
        """Of the folder `target`, through the relay."""
        raise NotImplementedError

    def options(self, dice: random.Random) -> list[str]:
        return []

    def trial(self, dice: random.Random) -> str:
        self._make_well()
        empty(self.data)
        self.target.mkdir()
        vmcore = self.stage.vmcore(dice.choice(self.mibs))
        reference = self.stage.reference(vmcore, dice.choice(self.stage.of_formats(SHAPES)))
        ways = [self._disturbed] * 7 + [self._given_up, self._given_up, self._killed]
        way = dice.choice(ways if self.notices_flips else [*ways, self._corrupted])
        try:
            return f"{reference.shape} of {reference.room >> 20} MiB, {way(dice, reference)}"
        finally:
            self._make_well()

    def _make_well(self) -> None:
        if not self.server.is_running():
            self.server.launch()
        self.server.wait()
        self.server.thaw()
        self.relay.tell("cut")
        self.relay.make_well()

    def _command(self, reference: Reference, dice: random.Random, retry_s: int, *next_targets: str) -> list[str]:
        threads = dice.choice((1, 2, 2, 3))
        command = self.stage.command(reference.vmcore.path, reference.shape, self.address(), threads)
        return [*command, *next_targets, *LIMITS, "--retry-for", str(retry_s), *self.options(dice)]

    def _disturbed(self, dice: random.Random, reference: Reference) -> str:
        """Whatever happens to the connection ends in time: the dump comes through."""
        faults = self.faults.draw(dice, reference)
        text = ", ".join(map(str, faults))
        attempts = Attempts(self.relay, reference, self.target)
        with self.stage.start(self._command(reference, dice, RETRY_S)) as running:
            attempts.follow(running)
            ended = drive(running, self.relay, faults, attempts)
        self._make_well()
        with reasons(f"{reference.shape}, {text}", ended.text):
            expect(ended.status == 0, f"status {ended.status}")
            # The dump has its name; only its report was on the way, and nobody comes back for that.
            report_lost = REPORT_LOST.search(ended.text) is not None
            check_finished(self.stage, self.target, reference, as_found=report_lost)
            text += f": {attempts.check()}, {ended.seconds:.1f} s"
            self._finish(reference, dice)
        return text

    def _finish(self, reference: Reference, dice: random.Random) -> None:
        """The same command: it finishes the dump. Once more: there is nothing to do."""
        for what in ("resumed run", "run after all is saved"):
            before = self.relay.stats()["up"]
            as_found = look(self.target).sealed(reference.shape) is not None
            ended = self.stage.run(self._command(reference, dice, RETRY_S))
            with reasons(what, ended.text):
                expect(ended.status == 0, f"status {ended.status}")
                sent = self.relay.stats()["up"] - before
                expect(not as_found or sent < QUESTIONS_BYTES, f"all was saved, but {sent} bytes were sent")
                check_finished(self.stage, self.target, reference, as_found=as_found)

    def _ends(self, dice: random.Random) -> tuple:
        """The link, or the server, is gone for good."""
        def refuse() -> None:
            self.relay.tell("refuse")
            self.relay.tell("cut")

        return dice.choice((("refused", refuse), ("stalled", lambda: self.relay.tell("stall")),
                            ("server gone", self.server.end), ("server stopped", self.server.freeze)))

    def _given_up(self, dice: random.Random, reference: Reference) -> str:
        """It does not come back: the next target takes the dump. Then it does, and a second run goes on."""
        how, do = self._ends(dice)
        fault = Fault(self.faults.moment(dice, reference), f"{how} for good", lambda: [(0, do)])
        other = self.stage.folder / "next-target"
        command = self._command(reference, dice, SHORT_RETRY_S, str(other))
        try:
            with self.stage.start(command) as running:
                ended = drive(running, self.relay, [fault])
            with reasons(f"{reference.shape}, {fault}", ended.text):
                expect(ended.status == 0, f"status {ended.status}")
                found = self._check_given_up(reference, other)
        finally:
            shutil.rmtree(other, ignore_errors=True)
        self._make_well()
        self._finish(reference, dice)
        return f"{fault}: {found}, {ended.seconds:.1f} s"

    def _check_given_up(self, reference: Reference, other: Path) -> str:
        found = check_remains(self.stage, self.target, reference, PagesSeen())
        if not other.exists() or look(other).sealed(reference.shape) is None:
            # Of what it tidies up behind the dump, something may be left.
            check_finished(self.stage, self.target, reference, as_found=True)
            return "it was over by then"
        check_finished(self.stage, other, reference)
        report = json.loads((look(other).folder / "vmcore.json").read_text())
        failed = report.get("failed_targets", [])
        expect([entry["target"] for entry in failed] == [self.address()] and failed[0]["why"],
               f"the report does not say what failed: {failed}")
        return f"\"{failed[0]['why']}\", left there: {found}"

    def _killed(self, dice: random.Random, reference: Reference) -> str:
        """The capture itself ends, at a random moment; a second run goes on."""
        at = self.faults.moment(dice, reference)
        with self.stage.start(self._command(reference, dice, RETRY_S)) as running:
            kill = Fault(at, "capture killed", lambda: [(0, running.process.kill)])
            ended = drive(running, self.relay, [kill])
        with reasons(f"{reference.shape}, {kill}", ended.text):
            expect(ended.status in (0, -9), f"status {ended.status}")
            found = check_remains(self.stage, self.target, reference, PagesSeen())
        self._finish(reference, dice)
        return f"{kill}: {found}"

    def _corrupted(self, dice: random.Random, reference: Reference) -> str:
        """Nothing in the protocol notices flipped bits. Whatever comes of them, verify tells."""
        pieces = dice.randint(1, 20)
        fault = Fault(self.faults.moment(dice, reference), f"{pieces} bits flipped",
                      lambda: [(0, lambda: self.relay.tell("corrupt", pieces, "up"))])
        with self.stage.start(self._command(reference, dice, SHORT_RETRY_S)) as running:
            ended = drive(running, self.relay, [fault])
        with reasons(f"{reference.shape}, {fault}", ended.text):
            expect(ended.status in (0, 1, 3), f"status {ended.status}")
            return f"{fault}: status {ended.status}, {self._check_told(reference)}"

    def _check_told(self, reference: Reference) -> str:
        """No finished dump that is not as it should be passes verify."""
        for dump in self.target.glob(f"*/{reference.shape.file}"):
            if filecmp.cmp(dump, reference.file, shallow=False):
                return "the dump is as it should be"
            checked = self.stage.run([str(self.stage.executable), "verify", str(dump.parent)])
            expect(checked.status == 1,
                   f"verify says {checked.status} of other bytes from {first_difference(dump, reference.file)} "
                   f"on: {checked.text}")
            return "the dump is damaged, and verify says so"
        return "no finished dump"


def first_difference(one: Path, other: Path) -> int:
    """In bytes."""
    with open(one, "rb") as left, open(other, "rb") as right:
        at = 0
        while (a := left.read(1 << 20)) == (b := right.read(1 << 20)) and a:
            at += len(a)
    return at + next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


@contextlib.contextmanager
def reasons(what: str, messages: str):
    """Of a failure: what was done, and what the run said."""
    try:
        yield
    except Failure as failure:
        raise Failure(f"{what}: {failure}\n{messages}") from None


class Ssh(Network):
    kind = "ssh"

    def make_server(self, folder: Path) -> Service:
        return Sshd(folder)

    def ports(self) -> list[int]:
        return [self.server.port]

    def address(self) -> str:
        return f"ssh://root@127.0.0.1:{self.relay.port}{self.target}"

    def options(self, dice: random.Random) -> list[str]:
        words = ["--ssh-key", str(self.server.folder / "client_key"),
                 "--ssh-known-hosts", str(self.server.folder / "known_hosts.any")]
        connections = dice.choice((0, 0, 1, 2, 4))
        return words + (["--ssh-connections", str(connections)] if connections else [])


class Nfs3(Network):
    kind = "nfs3"
    version = 3
    notices_flips = False

    def make_server(self, folder: Path) -> Service:
        return Nfs(folder, "--export", str(self.data), "--versions", str(self.version))

    def ports(self) -> list[int]:
        return [self.server.port, self.server.mount_port]

    def address(self) -> str:
        return f"nfs://127.0.0.1:{self.relay.port}/export/dumps?version={self.version}{self._mount_port()}"

    def _mount_port(self) -> str:
        return f"&mountport={self.relay.second_port}"


class Nfs4(Nfs3):
    kind = "nfs4"
    version = 4

    def _mount_port(self) -> str:
        return ""
