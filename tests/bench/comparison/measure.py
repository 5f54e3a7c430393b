"""Runs one program once: how long, how much CPU, how many bytes; and, apart from that, how much memory."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from comparison.variants import Variant

RUN_LIMIT_S = 900
SAMPLE_S = 0.002


class BenchError(Exception):
    """A program failed, or what it wrote is not what was asked for."""


@dataclass
class Run:
    """One run. The memory is 0 where it was not sampled."""

    wall_s: float
    cpu_s: float
    bytes: int
    rss_anon_bytes: int = 0
    rss_bytes: int = 0


class MemorySampler:
    """Peak RssAnon, read every 2 ms, and peak RSS, which the kernel counts. Takes a few percent of a CPU: runs with it are
    not for timing."""

    _FIELDS = re.compile(rb"^(VmHWM|RssAnon):\s+(\d+) kB", re.MULTILINE)

    def __init__(self, pid: int) -> None:
        self.peaks = {b"VmHWM": 0, b"RssAnon": 0}
        self._path = f"/proc/{pid}/status"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with open(self._path, "rb", buffering=0) as file:
                    for name, kib in self._FIELDS.findall(file.read(8192)):
                        self.peaks[name] = max(self.peaks[name], int(kib) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(SAMPLE_S)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Program:
    """Builds command lines. The unpacked makedumpfile's loader is started directly, not by way of its shell wrapper."""

    def __init__(self, executable: Path, peer: Path | None) -> None:
        self.executable = executable
        self._peer: list[str] = []
        if peer is not None:
            root = peer.resolve().parent / "root"
            self._peer = [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path",
                          str(root / "usr/lib/x86_64-linux-gnu"), str(root / "usr/bin/makedumpfile")]

    def command(self, variant: Variant, vmcore: Path, level: int, target: Path) -> list[str]:
        if variant.peer:
            return [*self._peer, "--message-level", "4", *variant.arguments, "-d", str(level), str(vmcore),
                    str(target / "vmcore")]
        return [str(self.executable), "capture", "--source", str(vmcore), "-d", str(level), "--progress", "none",
                *variant.arguments, str(target)]

    def flattened(self, vmcore: Path, level: int) -> list[str]:
        """makedumpfile's, to standard output."""
        return [*self._peer, "--message-level", "4", "-F", "-z", "-d", str(level), str(vmcore)]

    def peer_version(self) -> str:
        done = subprocess.run([*self._peer, "-v"], stdout=subprocess.PIPE, check=False, text=True)
        return done.stdout.partition(":")[2].split("(")[0].replace("version ", "").strip()

    def own_version(self) -> str:
        done = subprocess.run([self.executable, "version"], stdout=subprocess.PIPE, check=False, text=True)
        return done.stdout.splitlines()[0] if done.stdout else "unknown"


def find_dump(target: Path) -> Path:
    """The one vmcore below the folder, whatever its format."""
    found = [path for path in target.rglob("vmcore*")
             if path.is_file() and path.suffix in ("", ".zst", ".lz4", ".elf")]
    if len(found) != 1:
        names = [str(path.relative_to(target)) for path in target.rglob("*")]
        raise BenchError(f"expected one finished dump, found {names}")
    return found[0]


def run_once(command: list[str], target: Path, *, sample: bool) -> Run:
    """The target folder has to be new. Its removal is the caller's."""
    log = target.with_suffix(".log")
    target.mkdir()
    with open(log, "wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        sampler = MemorySampler(process.pid) if sample else None
        killer = threading.Timer(RUN_LIMIT_S, process.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - start
        finally:
            killer.cancel()
            if sampler is not None:
                sampler.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit {process.returncode}\n" + log.read_text(errors="replace")[-2000:])
    peaks = sampler.peaks if sampler is not None else {b"RssAnon": 0, b"VmHWM": 0}
    return Run(wall_s, usage.ru_utime + usage.ru_stime, find_dump(target).stat().st_size, peaks[b"RssAnon"],
               peaks[b"VmHWM"])
