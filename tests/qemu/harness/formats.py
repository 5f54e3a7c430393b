"""dumpwright's other formats, made from the same vmcore and judged by the programs that they are for."""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from pathlib import Path

from harness.base import HarnessError, run_tool
from harness.cells import CrashQuirks
from harness.checks import Check, RamTruth, crash_check, ramcheck
from harness.compare import TOOL_LIMIT_S

LEVEL = 31
# What turns a stream into a kdump file, and what only verifies it.
DECOMPRESS: dict[str, Callable[[Path, Path], list[str | Path]]] = {
    "zstd": lambda stream, plain: ["zstd", "-q", "-d", stream, "-o", plain],
    "lz4": lambda stream, plain: ["lz4", "-q", "-d", stream, plain],
}
VERIFY = {"zstd": ["zstd", "-q", "-t"], "lz4": ["lz4", "-q", "-t"]}


def _capture(executable: Path, vmcore: Path, options: list[str], target: str | Path) -> None:
    run_tool([executable, "capture", "--source", vmcore, "-d", str(LEVEL), "--progress", "none", *options, target],
             timeout_s=TOOL_LIMIT_S)


def _only(folder: Path, name: str) -> Path:
    found = list(folder.glob(f"*/{name}"))
    if len(found) != 1:
        raise HarnessError(f"dumpwright left {len(found)} files {name} in {folder}")
    return found[0]


def same_bytes(name: str, one: Path, other: Path) -> Check:
    """Two files that have to be the same, byte for byte."""
    same = filecmp.cmp(one, other, shallow=False)
    size = one.stat().st_size
    return Check(name, [] if same else [f"{name}: {one.name} and {other.name} differ"],
                 f"{size} bytes, {'the same' if same else 'DIFFERENT'}")


def plain_stream(stream: Path, codec: str, plain: Path) -> Path:
    """The kdump file that a stream is; an error if its own program finds fault with it."""
    run_tool([*VERIFY[codec], stream], timeout_s=TOOL_LIMIT_S)
    run_tool(DECOMPRESS[codec](stream, plain), timeout_s=TOOL_LIMIT_S)
    return plain


def _check_streams(executable: Path, vmcore: Path, folder: Path, truth: RamTruth) -> list[Check]:
    plain: dict[str, Path] = {}
    for codec in DECOMPRESS:
        target = folder / f"stream-{codec}"
        _capture(executable, vmcore, ["--format", "stream", "--compress", codec], target)
        plain[codec] = plain_stream(_only(target, "vmcore." + ("zst" if codec == "zstd" else "lz4")), codec,
                                    folder / f"plain-{codec}")
    return [same_bytes("streams of zstd and lz4", plain["zstd"], plain["lz4"]), ramcheck(plain["zstd"], LEVEL, truth)]


def _check_flattened(executable: Path, vmcore: Path, folder: Path, makedumpfile: Path, kdump: Path) -> Check:
    flattened, rearranged = folder / "flattened", folder / "rearranged"
    run_tool(["sh", "-c", 'exec "$0" capture --source "$1" -d "$2" --progress none --compress none '
              '--format flattened - >"$3"', executable, vmcore, str(LEVEL), flattened], timeout_s=TOOL_LIMIT_S)
    run_tool(["sh", "-c", 'exec "$0" -R "$1" <"$2"', makedumpfile, rearranged, flattened], timeout_s=TOOL_LIMIT_S)
    return same_bytes("flattened, by makedumpfile -R", rearranged, kdump)


def check_formats(executable: Path, makedumpfile: Path, crash: str, quirks: CrashQuirks, vmlinux: Path, vmcore: Path,
                  kdump: Path, truth: RamTruth, folder: Path, work: Path) -> list[Check]:
    """`kdump`: dumpwright's dump of this vmcore at the same level, without compression."""
    elf = folder / "elf"
    _capture(executable, vmcore, ["--format", "elf"], elf)
    return [*_check_streams(executable, vmcore, folder, truth),
            _check_flattened(executable, vmcore, folder, makedumpfile, kdump),
            crash_check(crash, quirks, vmlinux, _only(elf, "vmcore.elf"), work)]
