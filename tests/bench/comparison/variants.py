"""What is run: dumpwright's formats and compressions, makedumpfile's, and the goals for their ratios. Data only."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Variant:
    """One program with one set of options. `family` groups what differs in the number of threads only."""

    name: str
    family: str
    arguments: tuple[str, ...]
    threads: int | None = None  # None: makedumpfile's own way, without --num-threads
    peer: bool = False
    every: int = 1  # takes part in every so many rounds: what is slow, or beside the point, in every second


def own_variants(threads: int) -> list[Variant]:
    def one(name: str, form: str, compress: str, count: int = threads, every: int = 1) -> Variant:
        return Variant(name, name, ("--format", form, "--compress", compress, "--threads", str(count)), count,
                       every=every)
    return [one("kdump zstd", "kdump", "zstd"), one("kdump zstd, 1 thread", "kdump", "zstd", 1, 2),
            one("kdump zstd:-1", "kdump", "zstd:-1"), one("kdump zstd:-3", "kdump", "zstd:-3"),
            one("kdump zlib", "kdump", "zlib"), one("kdump none", "kdump", "none", every=2),
            one("stream zstd", "stream", "zstd"), one("stream lz4", "stream", "lz4")]


def peer_variants(threads: int) -> list[Variant]:
    found = []
    for option, every in (("-z", 1), ("-l", 1), ("-c", 2)):
        family = f"makedumpfile {option}"
        found.append(Variant(family, family, (option,), None, True, every))
        for count in range(1, threads + 1):
            found.append(Variant(f"{family} --num-threads {count}", family,
                                 (option, "--num-threads", str(count)), count, True, every))
    return found


@dataclass(frozen=True)
class Goal:
    """At least `faster` times as fast as the peer at its best thread count, with at most `size` of its bytes."""

    variant: str
    peer: str
    faster: float
    size: float | None
    levels: tuple[int, ...] = (0, 1, 31)

    def text(self) -> str:
        size = "" if self.size is None else f", size <= {self.size:.2f}x"
        return f"{self.variant}: >= {self.faster:g}x {self.peer}{size}"


GOALS = (
    Goal("kdump zstd", "makedumpfile -z", 1.9, 1.00),
    Goal("kdump zstd", "makedumpfile -c", 7.0, 1.00),
    Goal("kdump zstd:-1", "makedumpfile -z", 3.5, 1.20),
    Goal("kdump zstd:-3", "makedumpfile -z", 3.5, 1.20),
    Goal("kdump zlib", "makedumpfile -c", 4.5, 1.00),
    Goal("stream zstd", "makedumpfile -z", 3.6, 0.90),
    Goal("stream lz4", "makedumpfile -z", 5.0, 1.25),
    Goal("stream lz4", "makedumpfile -l", 2.4, None),
)


def most_anonymous_bytes(threads: int) -> int:
    return 8 * MIB + threads * 5 * MIB // 2
