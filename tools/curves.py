#!/usr/bin/env python3
"""Draws curves of runs as SVG, from their metrics.jsonl; needs nothing but Python.

usage: tools/curves.py OUT.svg KEY[:X[:FROM]] NAME=metrics.jsonl [NAME=metrics.jsonl ...]

KEY is a number of the log: loss, loss_kd, eval_perplexity, eval_kl, ... One line a run. X is what stands below,
the optimizer step unless said otherwise; points below FROM are left out. What stands at the side begins at 0, unless
all values are above half of the greatest: then at the least."""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 60, 130, 20, 40
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]  # told apart by most eyes (Okabe and Ito)


def read(path, key, across, begin):
    rows = [json.loads(line) for line in open(path)]
    return [(r[across], r[key]) for r in rows if key in r and r[across] >= begin]


def ticks(low, high, n=5):
    step = 10 ** math.floor(math.log10((high - low) / n))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= n)
    first = math.ceil(low / step) * step
    return [first + i * step for i in range(int((high - first) / step) + 1)]


def draw(key, across, begin, curves):
    points = [p for _, curve in curves for p in curve]
    x0, x1 = (0 if begin == 0 else min(x for x, _ in points)), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    y0, y1 = (low - 0.05 * (high - low) if low > high / 2 else min(0, low)), high * 1.02
    sx = lambda x: LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    sy = lambda y: HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for y in ticks(y0, y1):
        out.append(f'<path d="M{LEFT} {sy(y):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{sy(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in ticks(x0, x1):
        out.append(f'<text x="{sx(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{across}</text>')
    out.append(f'<text x="{LEFT}" y="14">{key}</text>')
    for i, (name, curve) in enumerate(curves):
        colour, path = COLOURS[i % len(COLOURS)], " ".join(f"{sx(x):.1f},{sy(y):.1f}" for x, y in curve)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<path d="M{WIDTH - RIGHT + 10} {TOP + 20 * i + 6}h18" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{WIDTH - RIGHT + 34}" y="{TOP + 20 * i + 10}">{name}</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    key, across, begin, *_ = sys.argv[2].split(":") + ["", ""]
    across, begin = across or "step", float(begin or 0)
    curves = [(name, read(path, key, across, begin)) for name, path in (word.split("=", 1) for word in sys.argv[3:])]
    label = "optimizer step" if across == "step" else across.replace("_", " ")
    open(sys.argv[1], "w").write(draw(key.replace("_", " "), label, begin, curves))


main()
