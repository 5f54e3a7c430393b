"""Mounts a disk image as a rebooted machine would, so that the file system replays its journal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.base import HarnessError, run_tool

# In a mount namespace of its own: nothing stays mounted, whatever happens.
_MOUNT = """
case $0 in xfs) options=loop,nouuid ;; *) options=loop ;; esac # nouuid: images of one disk, at the same time
mount -t "$0" -o "$options" "$1" "$2" || exit 1
"""
_COPY = _MOUNT + """
status=0
if [ -d "$2/crash" ]; then cp -a --sparse=always "$2/crash" "$3" || status=1; fi
umount "$2" || exit 1
exit $status
"""
_EXTENTS = _MOUNT + """
for dump in "$2"/crash/*/vmcore "$2"/crash/*/vmcore.zst; do
  if [ -e "$dump" ]; then filefrag -v -b512 "$dump" || exit 1; fi
done
umount "$2"
"""
_EXTENT_LINE = re.compile(r"^ *\d+: *(\d+)\.\. *(\d+): *(\d+)\.\. *(\d+): *(\d+):", re.MULTILINE)
_CHECK: dict[str, list[str | Path]] = {"ext4": ["e2fsck", "-f", "-n"], "xfs": ["xfs_repair", "-n", "-f"]}


def _in_namespace(script: str, *arguments: str | Path) -> str:
    """As root: mounting needs it."""
    try:
        return run_tool(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, *arguments],
                        timeout_s=120)
    except HarnessError as error:
        reason = str(error).partition("(the command was")[0]
        raise HarnessError(f"mounting {Path(arguments[1]).name}: {reason.strip()}") from None


def copy_crash(file_system: str, image: Path, work: Path) -> Path:
    """Mounts, which replays the journal, and copies /crash, which need not be there, to work/crash."""
    mount_point, crash = work / "mounted", work / "crash"
    mount_point.mkdir(exist_ok=True)
    _in_namespace(_COPY, file_system, image, mount_point, crash)
    return crash


def check_file_system(file_system: str, image: Path) -> None:
    """Of an image whose journal was replayed: a disk that works as it should leaves no damage."""
    run_tool([*_CHECK[file_system], image], timeout_s=120)


@dataclass(frozen=True)
class Extent:
    """A piece of a file on the disk, in bytes."""

    file_at: int
    disk_at: int
    length: int


def dump_extents(file_system: str, image: Path, work: Path) -> list[Extent]:
    """Where on the disk the finished dump lies."""
    mount_point = work / "mounted"
    mount_point.mkdir(exist_ok=True)
    text = _in_namespace(_EXTENTS, file_system, image, mount_point)
    return [Extent(int(m[1]) * 512, int(m[3]) * 512, int(m[5]) * 512) for m in _EXTENT_LINE.finditer(text)]
