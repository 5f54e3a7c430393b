"""The ways in which a guest panics, and what each leaves in the log and on the stack of the CPU that panicked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panic:
    """See guest/init-first, which runs the script, and guest/panic_kinds.c, the module that it loads."""

    script: str
    words: tuple[str, ...]  # each in the log
    frames: tuple[str, ...]  # each in bt, as a frame or as the exception's RIP
    # Lines "Kernel panic": an oops, with oops=panic, starts the capture kernel before it comes to one.
    panics: int = 1
    module: bool = False


def _module(kind: str) -> str:
    return f"insmod /panic_kinds.ko kind={kind}"


# The guest asks for it: QEMU then sends one to every CPU.
NMI_WANTED = "NMI wanted"

PANICS: dict[str, Panic] = {
    "sysrq": Panic("echo c >/proc/sysrq-trigger",
                   ("sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash"),
                   ("sysrq_handle_crash", "panic")),
    "bug": Panic(_module("bug"), ("kernel BUG at ", "invalid opcode: 0000 ["),
                 ("crash_kexec", "oops_end", "exc_invalid_op", "dumpwright_bug"), panics=0, module=True),
    "null": Panic(_module("null"), ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "Oops: 0002 ["),
                  ("crash_kexec", "oops_end", "page_fault_oops", "dumpwright_null"), panics=0, module=True),
    "lockup": Panic("echo 3 >/proc/sys/kernel/watchdog_thresh\necho 1 >/proc/sys/kernel/softlockup_panic\n"
                    + _module("lockup"),
                    ("watchdog: BUG: soft lockup - CPU#", "Kernel panic - not syncing: softlockup: hung tasks"),
                    ("panic", "watchdog_timer_fn", "dumpwright_lockup"), module=True),
    "nmi": Panic(f"echo 1 >/proc/sys/kernel/unknown_nmi_panic\necho 'dumpwright-test: {NMI_WANTED}'\nsleep 60",
                 ("NMI received for unknown reason", "Kernel panic - not syncing: NMI: Not continuing"),
                 ("panic", "unknown_nmi_error", "exc_nmi")),
}
