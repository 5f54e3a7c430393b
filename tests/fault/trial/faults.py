"""What goes wrong between a capture and its server, and how it ends."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trial.attempts import Attempts
from trial.servers import Relay, Service
from trial.stage import TIME_LIMIT_S, Ended, Reference, Running, expect

POLL_S = 0.01
MIB = 1 << 20
# When, and what is done then.
Later = tuple[float, Callable[[], object]]


@dataclass(order=True)
class Fault:
    """Begins when so many bytes were sent, and tells what ends it, how many seconds later."""

    at: int
    text: str
    begin: Callable[[], list[Later]] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.text} at {self.at / MIB:.1f} MiB"


class Faults:
    """Draws them."""

    def __init__(self, server: Service, relay: Relay, reply_limit_s: float, *, corrupt: bool) -> None:
        self._server, self._relay, self._reply_limit_s = server, relay, reply_limit_s
        self._ways = [self._cut, self._cut, self._refuse, self._stall, self._throttle, self._delay,
                      self._segments, self._kill, self._freeze]
        if corrupt:
            self._ways.append(self._corrupt)

    def draw(self, dice: random.Random, reference: Reference) -> list[Fault]:
        """One to four, some of them at once."""
        faults: list[Fault] = []
        for _ in range(dice.choice((1, 1, 2, 2, 3, 4))):
            at = self.moment(dice, reference)
            if faults and dice.random() < 0.25:
                at = faults[-1].at
            faults.append(Fault(at, *dice.choice(self._ways)(dice)))
        return sorted(faults)

    @staticmethod
    def moment(dice: random.Random, reference: Reference) -> int:
        """Somewhere in the dump; often while it begins or ends."""
        size = reference.room
        return int(dice.choice((dice.uniform(0, size), dice.uniform(0, size), dice.uniform(0, size),
                                dice.uniform(0, min(size, MIB)), dice.uniform(0.97, 1.003) * size)))

    def _tell(self, *words: object) -> Callable[[], object]:
        return lambda: self._relay.tell(*words)

    def _passing(self, text: str, begin: tuple, end: tuple, seconds: float) -> tuple:
        def start() -> list[Later]:
            self._relay.tell(*begin)
            return [(seconds, self._tell(*end))]

        return f"{text} for {seconds:.1f} s", start

    def _cut(self, dice: random.Random) -> tuple:
        how = dice.choice(("rst", "fin"))
        return f"cut ({how})", lambda: [(0, self._tell("cut", how))]

    def _refuse(self, dice: random.Random) -> tuple:
        text, start = self._passing("cut and refused", ("refuse",), ("accept",), dice.uniform(0.3, 4))

        def both() -> list[Later]:
            ends = start()
            self._relay.tell("cut")
            return ends

        return text, both

    def _stall(self, dice: random.Random) -> tuple:
        shares = dice.choice(((0.1, 0.7), (1.2, 2)))
        return self._passing("stall", ("stall",), ("go",), self._reply_limit_s * dice.uniform(*shares))

    def _throttle(self, dice: random.Random) -> tuple:
        rate = int(2 ** dice.uniform(20, 24))
        return self._passing(f"{rate / MIB:.1f} MiB/s", ("rate", rate), ("rate", 0), dice.uniform(0.3, 2))

    def _delay(self, dice: random.Random) -> tuple:
        ms = int(2 ** dice.uniform(1, 7))
        return self._passing(f"{ms} ms", ("delay", ms), ("delay", 0), dice.uniform(0.3, 3))

    def _segments(self, dice: random.Random) -> tuple:
        size = int(2 ** dice.uniform(4, 12))
        return self._passing(f"pieces of {size} bytes", ("segments", size), ("segments", 0),
                             dice.uniform(0.2, 1))

    def _corrupt(self, dice: random.Random) -> tuple:
        pieces, way = dice.randint(1, 3), dice.choice(("up", "up", "down"))
        return f"{pieces} bits flipped {way}", lambda: [(0, self._tell("corrupt", pieces, way))]

    def _kill(self, dice: random.Random) -> tuple:
        seconds = dice.uniform(0, 1.5)

        def start() -> list[Later]:
            if not self._server.is_running():
                return []
            self._server.end()
            return [(seconds, self._server.launch)]

        return f"server killed, and started {seconds:.1f} s later", start

    def _freeze(self, dice: random.Random) -> tuple:
        seconds = self._reply_limit_s * dice.uniform(0.2, 2)

        def start() -> list[Later]:
            self._server.freeze()
            return [(seconds, self._server.thaw)]

        return f"server stopped for {seconds:.1f} s", start


def drive(running: Running, relay: Relay, faults: list[Fault], attempts: Attempts | None = None) -> Ended:
    """Lets the faults happen to a run, until it ends."""
    waiting = sorted(faults)
    ends: list[tuple[float, int, Callable[[], object]]] = []
    base = relay.stats()["up"]
    limit = time.monotonic() + TIME_LIMIT_S
    number = 0
    while not running.is_over():
        sent = (attempts.look() if attempts else relay.stats())["up"] - base
        while waiting and waiting[0].at <= sent:
            for later_s, do in waiting.pop(0).begin():
                number += 1
                heapq.heappush(ends, (time.monotonic() + later_s, number, do))
        while ends and ends[0][0] <= time.monotonic():
            heapq.heappop(ends)[2]()
        expect(time.monotonic() < limit, f"no end after {TIME_LIMIT_S} s: {running.text()}")
        time.sleep(POLL_S)
    return running.end()
