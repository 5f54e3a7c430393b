"""Compiles the harness's own small programs into the cache, once per content of their sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from harness.base import HERE, HarnessError, cache_dir, run_tool

FLAGS = ["-std=c++20", "-O2", "-g0", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion"]


def _build(source: Path, flags_after: list[str]) -> Path:
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise HarnessError(f"no C++ compiler; run {HERE}/install-packages")
    digest = hashlib.sha256()
    for text in (source.read_bytes(), (HERE / "guest/page_tag.h").read_bytes(),
                 " ".join([compiler, *FLAGS, *flags_after]).encode()):
        digest.update(text)
    program = cache_dir() / "qemu-programs" / f"{source.stem}-{digest.hexdigest()[:16]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        scratch = program.with_suffix(f".{os.getpid()}")
        run_tool([compiler, *FLAGS, "-o", scratch, source, *flags_after], timeout_s=120)
        scratch.rename(program)
    return program


def guest_program(name: str) -> Path:
    """Static, because the guest's initramfs has no libraries for it."""
    return _build(HERE / "guest" / f"{name}.cc", ["-static"])


def host_program(name: str, folder: Path = HERE / "guest") -> Path:
    """Linked with the machine's own libkdumpfile."""
    return _build(folder / f"{name}.cc", ["-lkdumpfile", "-laddrxlat"])


def kernel_module(name: str, headers: Path) -> Path:
    """headers: of fetch-headers. The compiler is the machine's own, whichever the kernel was built with."""
    source = HERE / "guest" / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes() + str(headers).encode()).hexdigest()[:16]
    module = cache_dir() / "qemu-programs" / f"{name}-{digest}.ko"
    if module.exists():
        return module
    module.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".module-", dir=module.parent) as folder:
        shutil.copy(source, folder)
        (Path(folder) / "Kbuild").write_text(f"obj-m := {name}.o\n")
        run_tool(["make", "-C", headers, f"M={folder}", "CC=gcc", "modules"], timeout_s=120)
        (Path(folder) / f"{name}.ko").rename(module)
    return module
