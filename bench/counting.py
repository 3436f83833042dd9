# SPDX-License-Identifier: MIT
"""Counts what a program does, by valgrind: the same number every time, however busy the machine.

A count a message is the difference of two runs, which leaves out what a program does before its
first message and after its last.
"""
import os
import re
import subprocess
import sys

BATCH = 100  # messages a round of bench/doubles.cpp
ROUNDS = (50, 150)


def under_valgrind(options, command, pattern):
    # meson lets malloc fill what it gives out, with another value each time; that is work, too.
    surroundings = {**os.environ, "MALLOC_PERTURB_": "0", "LC_ALL": "C"}
    done = subprocess.run(["valgrind", *options, *command], capture_output=True, text=True,
                          check=False, env=surroundings)
    found = re.search(pattern, done.stderr)
    if done.returncode or not found:
        sys.exit(f"valgrind {' '.join([*options, *command])} failed:\n{done.stderr}")
    return int(found[1].replace(",", ""))


def instructions(command):
    return under_valgrind(["--tool=callgrind", "--callgrind-out-file=/dev/null"], command,
                          r"Collected : (\d+)")


def allocations(command):
    return under_valgrind(["--leak-check=no"], command, r"total heap usage: ([\d,]+) allocs")


def a_message(count, program, what, way):
    few, many = (count([program, what, way, str(rounds)]) for rounds in ROUNDS)
    return (many - few) / (ROUNDS[1] - ROUNDS[0]) / BATCH


def enqueue_and_deliver(count, program, way):
    """What it takes to enqueue a message, and to deliver it."""
    enqueue = a_message(count, program, "enqueue", way)
    # A round of `deliver` has enqueued first.
    return enqueue, a_message(count, program, "deliver", way) - enqueue
