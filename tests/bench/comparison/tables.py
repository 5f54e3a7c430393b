"""Markdown of the results."""

from __future__ import annotations

from comparison.results import Cell, Judged, Measured, judge, memory_excess
from comparison.variants import MIB, most_anonymous_bytes

FAMILIES = ("makedumpfile -z", "makedumpfile -l", "makedumpfile -c")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _peers(cell: Cell) -> list[Measured]:
    return [best for family in FAMILIES if (best := cell.best(family)) is not None]


def _ratios(cell: Cell, one: Measured, peers: list[Measured]) -> list[str]:
    found = []
    for peer in peers:
        shown = not one.variant.peer and bool(one.rounds)
        found += [cell.faster(one, peer).text() if shown else "", f"{cell.size(one, peer):.3f}" if shown else ""]
    return found


def cell_table(cell: Cell) -> list[str]:
    peers = _peers(cell)
    head = ["", "wall s", "CPU s", "MB", "RssAnon MiB"]
    for peer in peers:
        option = peer.variant.family.removeprefix("makedumpfile ")
        head += [f"times as fast as {option}", f"size of {option}'s"]
    lines = [_row(head), _row(["---"] * len(head))]
    for one in cell.measured:
        name = f"**{one.variant.name}**" if one in peers else one.variant.name
        times = [one.wall().text(), one.cpu().text()] if one.rounds else [f"{one.sampled.wall_s:.1f}, once",
                                                                          f"{one.sampled.cpu_s:.1f}"]
        lines.append(_row([name, *times, f"{one.sampled.bytes / 1e6:.1f}", f"{one.sampled.rss_anon_bytes / MIB:.1f}",
                           *_ratios(cell, one, peers)]))
    return lines


def shared_lines(cell: Cell) -> list[str]:
    """Dedup's gain, which is not the codec's."""
    lines = []
    for one in cell.measured:
        if one.shared.pages:
            share = one.shared.bytes / (one.sampled.bytes + one.shared.bytes)
            lines.append(f"- {one.variant.name}: {one.shared.pages:,} duplicate pages are not stored again, which saves "
                         f"{one.shared.bytes / 1e6:.1f} MB ({100 * share:.1f} %).")
    return ["", *lines] if lines else []


def _judged_text(one: Judged) -> str:
    idle = "" if one.when_idle is None else f", CPU {one.when_idle.median:.2f}"
    return f"{one.faster.text()}x{idle}, size {one.size:.3f}"


def goal_table(cells: list[Cell]) -> list[str]:
    """One line per goal and level, with all loads in it."""
    judged = judge(cells)
    loads = list(dict.fromkeys(cell.load for cell in cells))
    lines = [_row(["goal", "-d", *loads, "met"]), _row(["---"] * (len(loads) + 3))]
    for goal in dict.fromkeys(one.goal for one in judged):
        for level in sorted({one.level for one in judged if one.goal == goal}):
            of_level = {one.load: one for one in judged if one.goal == goal and one.level == level}
            texts = [_judged_text(of_level[load]) if load in of_level else "" for load in loads]
            missed = [load for load, one in of_level.items() if not one.met]
            met = "yes" if not missed else "**no**" if len(missed) == len(of_level) else f"**not {', '.join(missed)}**"
            lines.append(_row([goal.text(), str(level), *texts, met]))
    return lines


def memory_lines(cells: list[Cell]) -> list[str]:
    own = [one for cell in cells for one in cell.measured if not one.variant.peer]
    lines = []
    for threads in sorted({one.variant.threads for one in own if one.variant.threads}):
        peak = max(one.sampled.rss_anon_bytes for one in own if one.variant.threads == threads)
        lines.append(f"- Peak RssAnon, {threads} thread{'s' if threads > 1 else ''}: {peak / MIB:.1f} MiB, goal at most "
                     f"{most_anonymous_bytes(threads) / MIB:.1f} MiB.")
    lines += [f"- **Above it**: {one.variant.name}, {cell.load}, -d {cell.level}: {one.sampled.rss_anon_bytes / MIB:.1f} MiB."
              for cell, one in memory_excess(cells)]
    return lines


def load_table(facts: list[dict]) -> list[str]:  # type: ignore[type-arg]
    lines = [_row(["load", "kernel", "pages", "zero", "not zero", "duplicates", "kept at -d 1", "kept at -d 31"]),
             _row(["---"] * 8)]
    for one in facts:
        share = one["duplicate_pages"] / max(1, one["non_zero_pages"])
        lines.append(_row([one["load"], one["kernel"], f"{one['pages']:,}",
                           f"{100 * one['zero_pages'] / max(1, one['pages']):.1f} %",
                           f"{one['non_zero_pages'] * 4096 / 1e9:.2f} GB", f"{100 * share:.1f} %",
                           *(f"{one[key]:,}" if key in one else "" for key in ("kept_1", "kept_31"))]))
    return lines
