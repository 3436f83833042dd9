#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions and allocations a message, through the outbox and by hand."""
import sys

import counting


def main():
    program = sys.argv[1]
    for title, count in (("instructions", counting.instructions),
                         ("allocations", counting.allocations)):
        hand, ours = (counting.enqueue_and_deliver(count, program, way)
                      for way in ("hand", "outbox"))
        print(f"{title + ' a message':24}{'by hand':>10}{'outbox':>10}{'ratio':>10}")
        for i, what in enumerate(("enqueue", "deliver")):
            print(f"{what:24}{hand[i]:10.2f}{ours[i]:10.2f}{ours[i] / hand[i]:10.2f}")


if __name__ == "__main__":
    main()
