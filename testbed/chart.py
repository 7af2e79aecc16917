# SPDX-License-Identifier: BSD-2-Clause
"""Draws bars as SVG, for light and dark backgrounds, with each number beside its bar.

    text = bars("Thousands of instructions", [("depth 1", [("one", 58.9, "ours"), ("the other", 48.4, "others")])])

A bar's kind decides its colour: one of KINDS. One that is much longer than the others is cut, and says so by a gap.
"""
from html import escape

ROW, BAR, LABELS, BARS, NUMBERS, MARGIN = 22, 14, 310, 420, 80, 20
CUT = 3         # a bar that is so many times longer than the next is cut
KINDS = ("ours", "others", "limit")

STYLE = """
    text { font: 13px sans-serif; fill: #24292f; }
    .title { font-size: 16px; font-weight: bold; }
    .heading { font-weight: bold; }
    .number { font-variant-numeric: tabular-nums; }
    .ours { fill: #0969da; }
    .others { fill: #bc4c00; }
    .limit { fill: #8c959f; }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3; }
        .ours { fill: #58a6ff; }
        .others { fill: #f0883e; }
        .limit { fill: #6e7681; }
    }
"""


def longest(values):
    """The value of a full bar: the greatest one that is not CUT times greater than the next."""
    ordered = sorted(values, reverse=True)
    while len(ordered) > 1 and ordered[0] > CUT * ordered[1]:
        ordered.pop(0)
    return ordered[0]


def bars(title, panels):
    """panels: [(heading, [(label, value, kind)])]."""
    width, y, parts = MARGIN * 2 + LABELS + BARS + NUMBERS, MARGIN + 16, []

    def text(x, words, kind, anchor="start"):
        parts.append(f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def bar(value, full, kind):
        x, length = MARGIN + LABELS, max(1.0, BARS * min(value, full) / full)
        if value > full:
            parts.append(f'<rect x="{x}" y="{y - BAR + 3}" width="{length - 22:.1f}" height="{BAR}" class="{kind}"/>')
            x, length = x + length - 18, 18.0
        parts.append(f'<rect x="{x:.1f}" y="{y - BAR + 3}" width="{length:.1f}" height="{BAR}" class="{kind}"/>')
        return x + length

    text(MARGIN, title, "title")
    for heading, items in panels:
        y += ROW * 2 - 6
        text(MARGIN, heading, "heading")
        full = longest([value for _, value, _ in items])
        for label, value, kind in items:
            y += ROW
            text(MARGIN + LABELS - 10, label, "label", "end")
            text(bar(value, full, kind) + 6, f"{value:,.1f}", "number")
    height = y + MARGIN
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
                      "<!-- SPDX-License-Identifier: BSD-2-Clause; drawn by testbed/chart.py -->",
                      f"<style>{STYLE}</style>", *parts, "</svg>", ""])
