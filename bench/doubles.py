#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions a message, through the outbox and by hand: doubles.py PROGRAM.

valgrind counts the same number every time. The difference of two runs leaves out what a program
does before its first message and after its last.
"""
import re
import subprocess
import sys

BATCH = 100
ROUNDS = (50, 150)


def instructions(program, *arguments):
    """What valgrind's callgrind counted."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, *arguments],
        capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{program} {' '.join(arguments)} failed:\n{done.stderr}")
    return int(found[1])


def a_message(program, what, way):
    few, many = (instructions(program, what, way, str(rounds)) for rounds in ROUNDS)
    return (many - few) / (ROUNDS[1] - ROUNDS[0]) / BATCH


def main():
    program = sys.argv[1]
    counted = {}
    for what in ("enqueue", "deliver"):
        for way in ("hand", "outbox"):
            counted[what, way] = a_message(program, what, way)
    for way in ("hand", "outbox"):  # a round of `deliver` has enqueued first
        counted["deliver", way] -= counted["enqueue", way]
    print(f"{'instructions a message':24}{'by hand':>10}{'outbox':>10}{'more':>10}")
    for what in ("enqueue", "deliver"):
        hand, ours = counted[what, "hand"], counted[what, "outbox"]
        print(f"{what:24}{hand:10.0f}{ours:10.0f}{ours - hand:10.0f}")


if __name__ == "__main__":
    main()
