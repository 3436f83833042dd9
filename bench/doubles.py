#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions and allocations a message, through the outbox, by hand, and bare."""
import sys

import counting


def main():
    program = sys.argv[1]
    for title, count in (("instructions", counting.instructions),
                         ("allocations", counting.allocations)):
        ways = ("bare", "hand", "outbox")
        counted = {way: counting.enqueue_and_deliver(count, program, way) for way in ways}
        print(f"{title + ' a message':24}" + "".join(f"{way:>10}" for way in ways)
              + f"{'to hand':>10}{'to bare':>10}")
        for i, what in enumerate(("enqueue", "deliver", "both")):
            bare, hand, ours = (sum(counted[way]) if what == "both" else counted[way][i]
                                for way in ways)
            print(f"{what:24}{bare:10.2f}{hand:10.2f}{ours:10.2f}"
                  f"{ours / hand:10.2f}{ours / bare:10.2f}")


if __name__ == "__main__":
    main()
