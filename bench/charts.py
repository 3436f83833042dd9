#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the charts of docs/benchmarks from what the benchmarks wrote.

    ./dev bench goals --json > goals.json
    ./dev bench throughput --json throughput.json
    bench/charts.py goals.json throughput.json

Files are told apart by what is in them. What is not there is not drawn, and named.
"""
import argparse
import json
import pathlib
import re
import sys

import svg

# As the measurements are called in bench/goals, and what a reader calls them.
RELAYS = {
    "floor jetstream": "JetStream alone, no database",
    "floor hard": "hand-written loop, hard delete",
    "relay hard": "outbox, hard delete",
    "relay one key": "outbox, one key",
    "floor soft": "hand-written loop, soft delete",
    "relay soft": "outbox, soft delete",
}
PEERS = ("graphile-worker", "pg-boss", "pg-transactional-outbox")
WAYS = {"same": "same process", "other": "another process", "poll": "by polling"}
COSTS = ("own", "database", "broker")
# So many times the base case is drawn in full; what is longer is cut off.
LONGEST = 2.5


class Missing(Exception):
    """What a chart would need."""


def peer_of(name):
    return next((peer for peer in PEERS if peer in name), None)


def colour_of(name):
    if peer_of(name):
        return svg.PEER
    return svg.FLOOR if name.startswith("floor") else svg.OURS


def relays(medians):
    """(name, label) of what was drained: ours and the floors, then the peers."""
    found = [(name, label) for name, label in RELAYS.items() if name in medians]
    peers = [name for name in medians if peer_of(name) and "," not in name]
    found += [(name, peer_of(name) if sum(peer_of(x) == peer_of(name) for x in peers) == 1
               else name) for name in sorted(peers, key=lambda name: -medians[name])]
    if not found:
        raise Missing("no relay, floor or peer was measured")
    return found


def relay(goals):
    medians = goals["medians"]
    bars = [svg.Bar(label, [(medians[name], colour_of(name))], svg.grouped(medians[name]))
            for name, label in relays(medians)]
    legend = [("the library", svg.OURS), ("hand-written, for comparison only", svg.FLOOR)]
    if any(peer_of(name) for name, _ in relays(medians)):
        legend.append(("peers", svg.PEER))
    return svg.chart("Relay: messages a second", "rows that wait in PostgreSQL, delivered to "
                     "JetStream and acknowledged; medians", [svg.Group("", bars)],
                     svg.Linear(max(bar.parts[0][0] for bar in bars)), legend)


def cost(goals):
    medians = goals["medians"]
    bars = []
    for name, label in relays(medians):
        values = [medians.get(f"{name}, {whose} us") for whose in COSTS]
        if None in values:
            continue
        parts = list(zip(values, svg.SHADES))
        shown = " + ".join(f"{value:.1f}" for value in values)
        bars.append(svg.Bar(label, parts, f"{sum(values):.1f} = {shown}"))
    if not bars:
        raise Missing("no processor time was measured")
    # A peer that takes many times as much would leave nothing to see of the others.
    totals = sorted(sum(value for value, _ in bar.parts) for bar in bars)
    top = min(totals[-1], 4 * totals[(len(totals) - 1) // 2])
    return svg.chart("Processor time a message", "microseconds; medians",
                     [svg.Group("", bars)], svg.Linear(top),
                     list(zip(("the relay's process", "PostgreSQL", "nats-server"), svg.SHADES)))


def latency(goals):
    found = {}
    for name, value in goals["medians"].items():
        match = re.fullmatch(r"(.+) (p50|p99(?:\.9)?)", name)
        if match:
            found.setdefault(match[1], []).append((match[2], value))
    if not found:
        raise Missing("no latency was measured")
    groups = []
    for name, values in found.items():
        title = re.sub(r" (\d+)$", lambda rate: f", {int(rate[1]):,} a second", name)
        for word, meaning in WAYS.items():
            title = re.sub(f"^{word}\\b", meaning, title)
        groups.append(svg.Group(title, [
            svg.Bar(which, [(value, svg.SHADES[0])], f"{svg.grouped(value)} ms")
            for which, value in sorted(values)]))
    everything = [value for values in found.values() for _, value in values if value > 0]
    return svg.chart("From commit to delivery",
                     "milliseconds, on a logarithmic scale; medians of the runs",
                     groups, svg.Logarithmic(min(everything) / 4, max(everything)))


def flatness(goals):
    bars = []
    for row in goals["goals"]:
        held = row["ratio"]
        if not row["id"].startswith("flat") or held is None:
            continue
        shown = svg.grouped(held)
        if row["goal"] is not None:
            shown += f" ({'at most' if row['at_most'] else 'at least'} {row['goal']:g})"
        bars.append(svg.Bar(row["id"].removeprefix("flat_").replace("_", " "),
                            [(held, svg.OURS)], shown, row["least"], row["most"], row["goal"]))
    if not bars:
        raise Missing("no flatness was measured")
    top = max(max(bar.parts[0][0], bar.high or 0, bar.goal or 0) for bar in bars)
    return svg.chart("Flatness: the ratio to the ordinary case", "1 is as fast as without the "
                     "burden; the red line is what is to be reached",
                     [svg.Group("", bars)], svg.Linear(max(top, 1)))


def variations(throughput, figure):
    groups, base = {}, []
    for one in throughput["variations"]:
        for got in one["figures"]:
            if got["figure"] != figure:
                continue
            shown = svg.grouped(got["median"])
            if one["base"]:
                base.append(got["median"])
            else:
                shown += f"  ({got['ratio']:.2f})"
            groups.setdefault(one["factor"], svg.Group(one["factor"], [])).bars.append(
                svg.Bar(number(one["value"]), [(got["median"],
                                                svg.FLOOR if one["base"] else svg.OURS)],
                        shown, got["least"], got["most"]))
    if not base:
        raise Missing(f"'{figure}' was not measured")
    bars = [bar for group in groups.values() for bar in group.bars]
    top = max(bar.parts[0][0] for bar in bars)
    return svg.chart(f"One factor at a time: {figure}", "messages a second, median with slowest "
                     "and fastest run; in brackets the ratio to the base case",
                     list(groups.values()), svg.Linear(min(top, LONGEST * max(base))),
                     [("the base case", svg.FLOOR), ("varied", svg.OURS)])


def number(value):
    return f"{int(value):,}" if value.isdigit() else value


GOALS = {"relay": relay, "cost": cost, "latency": latency, "flatness": flatness}
THROUGHPUT = {
    "variations-relay": "relay",
    "variations-sustained": "sustained",
    "variations-enqueue-1": "one a transaction, 1 producer",
    "variations-enqueue-8": "one a transaction, 8 producers",
    "variations-enqueue-32": "one a transaction, 32 producers",
    "variations-enqueue-100": "100 a transaction",
}


def drawers(content):
    """(name, what draws it) for a file."""
    if "variations" in content:
        return [(name, lambda figure=figure: variations(content, figure))
                for name, figure in THROUGHPUT.items()]
    if "medians" in content:
        return [(name, lambda draw=draw: draw(content)) for name, draw in GOALS.items()]
    raise Missing("it comes from neither './dev bench goals' nor './dev bench throughput'")


def main():
    root = pathlib.Path(__file__).resolve().parents[1]
    options = argparse.ArgumentParser(description="Draws the charts of docs/benchmarks")
    options.add_argument("files", nargs="+", type=pathlib.Path)
    options.add_argument("--to", type=pathlib.Path, default=root / "docs" / "benchmarks")
    arguments = options.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    drawn = 0
    for file in arguments.files:
        try:
            todo = drawers(json.loads(file.read_text(encoding="utf-8")))
        except Missing as why:
            sys.exit(f"{file}: {why}")
        for name, draw in todo:
            try:
                made = draw()
            except Missing as why:
                print(f"{file}: no {name}.svg: {why}", file=sys.stderr)
                continue
            (arguments.to / f"{name}.svg").write_text(made, encoding="utf-8")
            print(arguments.to / f"{name}.svg")
            drawn += 1
    sys.exit(0 if drawn else "nothing was drawn")


if __name__ == "__main__":
    main()
