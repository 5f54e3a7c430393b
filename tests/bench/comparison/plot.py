"""Draws time and size as an SVG that is readable on light and dark pages."""

from __future__ import annotations

from xml.sax.saxutils import escape

from comparison.results import Cell, Measured

STYLE = """
text { font: 12px sans-serif; fill: #57606a }
.name { fill: #24292f }
.title { font-weight: bold; fill: #24292f }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.one { stroke: #57606a; stroke-dasharray: 4 3 }
.load0 { fill: #0969da } .load1 { fill: #1a7f37 } .load2 { fill: #bc4c00 } .load3 { fill: #8250df }
@media (prefers-color-scheme: dark) {
  text { fill: #8d96a0 }
  .name, .title { fill: #e6edf3 }
  .one { stroke: #8d96a0 }
  .load0 { fill: #4493f8 } .load1 { fill: #3fb950 } .load2 { fill: #f0883e } .load3 { fill: #ab7df8 }
}
"""
WIDTH = 900
NAMES = 170  # width of the variants' names
PANEL = 300
GAP = 50
TOP = 70
BAR = 7
FAMILIES = ("makedumpfile -z", "makedumpfile -l", "makedumpfile -c")


class Panel:
    """One axis from 0, with a line at 1, the peer."""

    def __init__(self, left: int, title: str, largest: float) -> None:
        self.left, self.title = left, title
        self.step = next(step for step in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 1e9) if largest / step <= 7)
        self.largest = largest

    def x(self, value: float) -> float:
        return self.left + PANEL * value / self.largest

    def frame(self, height: int) -> list[str]:
        lines = [f'<text class="title" x="{self.left}" y="{TOP - 28}">{escape(self.title)}</text>']
        ticks = int(self.largest / self.step)
        for tick in range(ticks + 1):
            x = self.x(tick * self.step)
            lines.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height}"/>')
            lines.append(f'<text x="{x:.1f}" y="{TOP - 11}" text-anchor="middle">{tick * self.step:g}</text>')
        one = self.x(1)
        lines.append(f'<line class="one" x1="{one:.1f}" y1="{TOP - 6}" x2="{one:.1f}" y2="{height}"/>')
        return lines

    def bar(self, value: float, y: int, number: int) -> str:
        width = max(1.0, self.x(value) - self.left)
        return f'<rect class="load{number}" x="{self.left}" y="{y}" width="{width:.1f}" height="{BAR - 1}"/>'


def _shown(cell: Cell) -> dict[str, Measured]:
    """By row's name: makedumpfile's methods at their best, then dumpwright's but for those that are beside the point."""
    rows = {family: best for family in FAMILIES if (best := cell.best(family)) is not None}
    rows |= {one.variant.name: one for one in cell.measured
             if not one.variant.peer and one.variant.every == 1 and one.rounds}
    return rows


def draw(cells: list[Cell], level: int) -> str:
    """Beside the first row: `makedumpfile -z`, or, without a peer, the first variant."""
    cells = [cell for cell in cells if cell.level == level]
    shown = [_shown(cell) for cell in cells]
    names = list(shown[0])
    first = names[0]
    time_of = [{name: one.wall().median / rows[first].wall().median for name, one in rows.items()} for rows in shown]
    size_of = [{name: one.sampled.bytes / rows[first].sampled.bytes for name, one in rows.items()} for rows in shown]
    pitch = BAR * len(cells) + 12
    height = TOP + pitch * len(names)
    panels = [Panel(left, f"{title}, {first} = 1", 1.05 * max(max(values.values()) for values in numbers))
              for left, title, numbers in ((NAMES, "time", time_of), (NAMES + PANEL + GAP, "size", size_of))]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 10}" width="{WIDTH}">',
             f"<style>{STYLE}</style>", f'<text class="title" x="8" y="20">Dump level {level}, less is better</text>']
    for number, cell in enumerate(cells):
        x = NAMES + PANEL + GAP + 110 * number
        lines.append(f'<rect class="load{number}" x="{x}" y="11" width="10" height="10"/>')
        lines.append(f'<text x="{x + 15}" y="20">{escape(cell.load)}</text>')
    for panel, numbers in zip(panels, (time_of, size_of)):
        lines += panel.frame(height)
        for row, name in enumerate(names):
            for number, values in enumerate(numbers):
                if name in values:
                    lines.append(panel.bar(values[name], TOP + pitch * row + BAR * number, number))
    for row, name in enumerate(names):
        y = TOP + pitch * row + BAR * len(cells) // 2 + 4
        lines.append(f'<text class="name" x="{NAMES - 8}" y="{y}" text-anchor="end">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
