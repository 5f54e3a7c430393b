"""Damaged dumps, foreign dumps and broken executables: every check of the trials has to find them."""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trial.kinds import make
from trial.remains import Descriptors, check_finished, look
from trial.stage import Failure, Reference, Shape, Stage, expect

MIB = 8
TRIALS = 6  # so many that chance spares none of them
AFRESH = """
case $1 in capture) set -- "$@" --resume never;; esac
exec "$REAL" "$@"
"""
OTHER_BYTES = """
case "$*" in *reference*) exec "$REAL" "$@";; esac
words=()
for word in "$@"; do
  case $word in none) word=zlib;; zlib) word=none;; zstd) word=zlib;; esac
  words+=("$word")
done
exec "$REAL" "${words[@]}"
"""
OTHER_PAGES = """
case "$*" in *reference*) exec "$REAL" "$@";; esac
words=()
for word in "$@"; do
  case $before in --source) word=$OTHER;; esac
  words+=("$word") before=$word
done
exec "$REAL" "${words[@]}"
"""
# Of what stands on the server after a capture to it that ended well; the server's folder is beside.
PLANTED = """
"$REAL" "$@"
status=$?
case "$status $*" in
0*ssh:*) cd "${0%/*}"/ssh-data/dumps/*Z && WHAT ;;
esac
exit $status
"""
TWICE = """
case "$*" in
*reference*) ;;
*ssh:*) "$REAL" "$@" && rm -r "${0%/*}"/ssh-data/dumps/* ;;
esac
exec "$REAL" "$@"
"""
# In a trial that flips bits, the dump may differ; verify has to say so.
DIFFERS = "differs from that of the undisturbed|of other bytes"
# Executables that do something wrong; $REAL stands for the true one.
BROKEN = {
    "starts afresh beside an incomplete dump": ("kill", AFRESH, "more than one folder"),
    "writes other bytes, killed": ("kill", OTHER_BYTES, "differs from that of the undisturbed"),
    "writes other bytes, killed for memory": ("oom", OTHER_BYTES, "differs from that of the undisturbed"),
    "writes other bytes, disk full": ("full", OTHER_BYTES, "differs from that of the undisturbed"),
    "writes other bytes, disk gone": ("gone", OTHER_BYTES, "differs from that of the undisturbed"),
    "writes other pages": ("source", OTHER_PAGES, "differs from the vmcore|are there: status 0"),
    "aborts": ("source", 'case "$*" in *reference*) exec "$REAL" "$@";; esac; kill -ABRT $$', "status -6"),
    "writes other bytes over SSH": ("ssh", OTHER_BYTES, DIFFERS),
    "writes other bytes over NFS": ("nfs3", OTHER_BYTES, DIFFERS),
    "leaves one wrong byte on the server": (
        "ssh", PLANTED.replace("WHAT", "printf x | dd of=vmcore bs=1 seek=100000 conv=notrunc status=none"),
        "differs from that of the undisturbed"),
    "leaves a file on the server": ("ssh", PLANTED.replace("WHAT", "touch vmcore.new"), "left behind"),
    "leaves a second folder on the server": ("ssh", PLANTED.replace("WHAT", "mkdir ../more"), "more than one folder"),
    "sends what was vouched for": ("ssh", TWICE, "bytes where|all was saved, but"),
    "finds no damage": ("bitflip", '"$REAL" "$@"; status=$?; exit $((status == 1 ? 0 : status))',
                        "verify's status 0"),
    "finds damage where there is none": ("bitflip", 'case $1 in verify) exit 1;; esac; exec "$REAL" "$@"',
                                         "status 1 instead of 0"),
}


def must_fail(what: str, reason: str, action: Callable[[], object]) -> None:
    try:
        outcome = action()
    except Failure as failure:
        expect(any(part in str(failure) for part in reason.split("|")),
               f"{what}: failed for another reason: {failure}")
        return
    raise Failure(f"{what}: was not found: {outcome}")


class Selftest:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.vmcore = stage.vmcore(MIB)
        self.reference = stage.reference(self.vmcore, Shape())
        self.copies = 0

    def checks(self) -> dict[str, Callable[[], None]]:
        every = {"a good dump is found good": self._good,
                 "read_dump finds a wrong page": self._wrong_page,
                 "read_dump finds a page in another's place": self._exchanged_pages,
                 "read_dump finds a foreign dump": self._foreign_dump,
                 "read_dump finds what is no dump": self._no_dump,
                 "what is left behind is found": self._left_behind,
                 "a dump that is not whole is found": self._not_whole}
        for what in BROKEN:
            every[f"an executable that {what}, is found"] = lambda what=what: self._broken(what)
        return every

    def _copy(self) -> Reference:
        self.copies += 1
        directory = self.stage.folder / f"copy-{self.copies}"
        shutil.copytree(self.reference.directory, directory)
        return replace(self.reference, directory=directory)

    def _good(self) -> None:
        copy = self._copy()
        check_finished(self.stage, copy.directory, self.reference)
        pages = self.stage.pages(copy.file, self.vmcore.path)
        expect(pages["right"] > 30000 and pages["missing"] == 0, f"counted {pages}")

    def _wrong_page(self) -> None:
        dump = self._copy().file
        with open(dump, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)[0]
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last ^ 1]))
        must_fail("one bit", "differs from the vmcore", lambda: self.stage.pages(dump, self.vmcore.path))

    def _exchanged_pages(self) -> None:
        dump = self._copy().file
        descriptors = Descriptors.of(dump)
        table = descriptors.entries
        # Two pages that share their bytes with no other.
        uses = Counter(table)
        alone = [i for i, entry in enumerate(table) if uses[entry] == 1][:2]
        with open(dump, "r+b") as file:
            for here, there in (alone, alone[::-1]):
                file.seek(descriptors.at + here * 24)
                file.write(struct.pack("<QIIQ", *table[there]))
        must_fail("two pages", "wrong 2 ", lambda: self.stage.pages(dump, self.vmcore.path))

    def _foreign_dump(self) -> None:
        other = replace(self.stage, seed=self.stage.seed + 1, folder=self.stage.folder / "other",
                        _vmcores={}, _references={})
        other.folder.mkdir(exist_ok=True)
        dump = other.reference(other.vmcore(MIB), Shape()).file
        must_fail("a foreign dump", "differs from the vmcore",
                  lambda: self.stage.pages(dump, self.vmcore.path))

    def _no_dump(self) -> None:
        file = self.stage.folder / "no-dump"
        file.write_bytes(b"KDUMP   " + bytes(100000))
        must_fail("zeros", "does not open", lambda: self.stage.pages(file, self.vmcore.path))

    def _left_behind(self) -> None:
        for name, reason in (("vmcore.new", "left behind"), ("vmcore.incomplete", "left behind"),
                             ("core", "strange files")):
            copy = self._copy()
            (copy.folder / name).write_text("x")
            must_fail(name, reason, lambda: check_finished(self.stage, copy.directory, self.reference))
        copy = self._copy()
        shutil.copytree(copy.folder, f"{copy.folder}-2")
        must_fail("a second folder", "more than one folder", lambda: look(copy.directory))
        next(entry for entry in copy.directory.iterdir() if entry.name.endswith("Z")).rename(
            self.stage.folder / "moved")
        must_fail("only a second folder", "second folder", lambda: look(copy.directory))

    def _not_whole(self) -> None:
        for what, damage, reason in (
                ("one byte less", lambda copy: os.truncate(copy.file, copy.bytes - 1), "differs"),
                ("no checksums", lambda copy: (copy.folder / "vmcore.sums").unlink(), "missing: "),
                ("still incomplete", lambda copy: copy.file.rename(f"{copy.file}.incomplete"), "missing: "),
                ("no folder", lambda copy: shutil.rmtree(copy.folder), "no dump")):
            copy = self._copy()
            damage(copy)
            must_fail(what, reason, lambda: check_finished(self.stage, copy.directory, self.reference))

    def _broken(self, what: str) -> None:
        kind, script, reason = BROKEN[what]
        folder = self.stage.folder / f"broken-{list(BROKEN).index(what)}"
        folder.mkdir()
        fake = folder / "dumpwright"
        other = self.stage.folder / "other" / f"vmcore-{MIB}"
        fake.write_text(f"#!/bin/bash\nREAL={self.stage.executable} OTHER={other}\n{script}\n")
        fake.chmod(0o755)
        stage = replace(self.stage, executable=fake, folder=folder, formats=frozenset({"kdump"}),
                        _vmcores={}, _references={})

        def trials() -> str:
            with make(stage, kind, MIB) as broken:
                return "; ".join(broken.trial(stage.random(kind, number)) for number in range(TRIALS))

        must_fail(what, reason, trials)
