"""The kinds of trials, and how many of each a run makes."""

from __future__ import annotations

from dataclasses import dataclass

from trial.flips import Bitflip
from trial.interrupted import Kill, Oom
from trial.network import Nfs3, Nfs4, Ssh
from trial.places import Full, Gone
from trial.sources import Source
from trial.stage import Stage

_CLASSES = {"kill": Kill, "oom": Oom, "full": Full, "gone": Gone, "source": Source, "bitflip": Bitflip,
            "ssh": Ssh, "nfs3": Nfs3, "nfs4": Nfs4}
KINDS = tuple(_CLASSES)


@dataclass(frozen=True)
class Size:
    trials: int
    mib: int  # RAM of the vmcore


FULL = {
    "kill": Size(200, 384),
    "oom": Size(50, 192),
    "full": Size(60, 64),
    "gone": Size(60, 256),
    "source": Size(100, 64),
    "bitflip": Size(1000, 4),
    "ssh": Size(100, 256),
    "nfs3": Size(100, 256),
    "nfs4": Size(100, 256),
}
QUICK = {
    "kill": Size(12, 192),
    "oom": Size(5, 192),
    "full": Size(6, 64),
    "gone": Size(6, 192),
    "source": Size(6, 64),
    "bitflip": Size(60, 4),
    "ssh": Size(5, 128),
    "nfs3": Size(5, 128),
    "nfs4": Size(5, 128),
}


def make(stage: Stage, kind: str, mib: int):
    """A context manager whose trial(dice) returns what was found, or raises Failure."""
    return _CLASSES[kind](stage, mib)
