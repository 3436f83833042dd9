# SPDX-License-Identifier: MIT
"""Horizontal bars as SVG: a label, a bar or several in one line, the value behind it.

The ground is white, so that a chart reads the same on a dark page.
"""
import dataclasses
import math
import xml.sax.saxutils

WIDTH = 760
LINE = 26
BAR = 15
GAP = 12  # between groups
LETTER = 6.6  # about how wide one is
INK = "#1f2328"
FAINT = "#59636e"
GRID = "#d1d9e0"
OURS, FLOOR, PEER = "#0969da", "#8c959f", "#bf8700"
SHADES = ("#0969da", "#6f42c1", "#bf8700")


@dataclasses.dataclass
class Bar:
    """One line. `parts` are (value, colour), side by side; `low` and `high` the spread."""
    label: str
    parts: list
    text: str
    low: float | None = None
    high: float | None = None
    goal: float | None = None


@dataclasses.dataclass
class Group:
    title: str
    bars: list


def text(x, y, words, size=12, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">'
            f'{xml.sax.saxutils.escape(words)}</text>')


def rectangle(x, y, width, height, colour):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
            f'fill="{colour}"/>')


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


class Linear:
    def __init__(self, top):
        self.top = top
        step = 10 ** math.floor(math.log10(top / 2))
        while top / step > 6:
            step *= 2 if str(f"{step:e}")[0] in "15" else 2.5
        self.ticks = [step * i for i in range(int(top / step) + 1)]

    def __call__(self, value):
        return min(value / self.top, 1.0)


class Logarithmic:
    def __init__(self, bottom, top):
        self.low, self.high = math.floor(math.log10(bottom)), math.ceil(math.log10(top))
        self.high = max(self.high, self.low + 1)
        self.top = 10.0 ** self.high
        self.ticks = [10.0 ** i for i in range(self.low, self.high + 1)]

    def __call__(self, value):
        share = (math.log10(max(value, 1e-9)) - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


def grouped(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:.1f}"


def drawn(bar, left, wide, top, scale):
    """The lines of SVG of one bar, its upper edge at `top`."""
    middle = top + LINE / 2
    out = [text(left - 8, middle + 4, bar.label, anchor="end")]
    begin = total = 0.0
    for value, colour in bar.parts:
        total += value
        end = scale(total) * wide
        out.append(rectangle(left + begin, middle - BAR / 2, end - begin, BAR, colour))
        begin = end
    end = begin
    if total > scale.top:  # cut off: the bar would be longer
        for x in (left + wide * 0.93, left + wide * 0.93 + 5):
            out.append(line(x, middle + BAR / 2 + 2, x + 6, middle - BAR / 2 - 2, "#ffffff", 2.5))
    elif bar.low is not None and bar.high is not None and bar.high > bar.low:
        low, high = left + scale(bar.low) * wide, left + scale(bar.high) * wide
        out.append(line(low, middle, high, middle, INK, 1.2))
        out += [line(x, middle - 4, x, middle + 4, INK, 1.2) for x in (low, high)]
        end = max(end, high - left)
    if bar.goal is not None:
        x = left + scale(bar.goal) * wide
        out.append(line(x, middle - LINE / 2 + 1, x, middle + LINE / 2 - 1, "#cf222e", 2))
        end = max(end, x - left)
    out.append(text(left + end + 7, middle + 4, bar.text))
    return out


def chart(title, subtitle, groups, scale, legend=()):
    """The text of an SVG file. `legend` is (words, colour) in turn."""
    bars = [bar for group in groups for bar in group.bars]
    letters = max(max(len(bar.label) for bar in bars),
                  max(len(group.title) for group in groups) + 2)
    left = 16 + letters * LETTER + 8
    wide = WIDTH - left - 16 - max(len(bar.text) for bar in bars) * LETTER
    body, y = [], 62.0
    if legend:
        x = 16.0
        for words, colour in legend:
            body += [rectangle(x, y - 9, 10, 10, colour), text(x + 15, y, words, 11, FAINT)]
            x += 30 + len(words) * 6
        y += 18
    top = y
    for group in groups:
        if group.title:
            body.append(text(16, y + 15, group.title, weight="bold"))
            y += 22
        for bar in group.bars:
            body += drawn(bar, left, wide, y, scale)
            y += LINE
        y += GAP
    bottom = y - GAP + 2
    grid = [line(left, top, left, bottom, FAINT)]
    for tick in scale.ticks:
        x = left + scale(tick) * wide
        grid += [line(x, top, x, bottom, GRID),
                 text(x, bottom + 14, f"{tick:,.10g}", 10, FAINT, "middle")]
    height = bottom + 26
    name = xml.sax.saxutils.escape(title)
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" role="img" font-family="system-ui, '
            f'-apple-system, \'Segoe UI\', Helvetica, Arial, sans-serif">',
            f"<title>{name}</title>", rectangle(0, 0, WIDTH, height, "#ffffff"),
            text(16, 24, title, 15, weight="bold"), text(16, 42, subtitle, 11, FAINT)]
    return "\n".join([*head, *grid, *body, "</svg>", ""])
