#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts test cases, not programs: count.py BUILD/meson-logs/testlog.json.

A test program says how many cases passed and failed: Catch2 in its summary, ours in a last line
`N passed, N failed`. One that says nothing counts as one. One that crashed after its summary, or
that ran no case at all, has failed.
"""
import json
import re
import sys

OURS = re.compile(r"(?m)^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")
ALL_PASSED = re.compile(r"(?m)^All tests passed \(.*?\bin (\d+) test cases?\)")
SOME_FAILED = re.compile(r"(?m)^test cases:\s*\d+((?:\s*\|\s*\d+ [a-z ]+)+)")
NONE = re.compile(r"(?m)^No tests ran")


def said(output):
    """(passed, failed, skipped) as the last summary in `output` has it; None: there is none."""
    found = []
    for match in OURS.finditer(output):
        found.append((match.start(), int(match[1]), int(match[2]), int(match[3] or 0)))
    for match in ALL_PASSED.finditer(output):
        found.append((match.start(), int(match[1]), 0, 0))
    for match in SOME_FAILED.finditer(output):
        parts = {}
        for number, word in re.findall(r"(\d+) ([a-z ]+)", match[1]):
            parts[word.strip()] = int(number)
        passed = parts.get("passed", 0) + parts.get("failed as expected", 0)
        found.append((match.start(), passed, parts.get("failed", 0), parts.get("skipped", 0)))
    for match in NONE.finditer(output):
        found.append((match.start(), 0, 1, 0))
    return max(found)[1:] if found else None


def count(test):
    result = test["result"]
    if result == "SKIP":
        return 0, 0, 1
    good = result in ("OK", "EXPECTEDFAIL")
    passed, failed, skipped = said(test.get("stdout") or "") or (int(good), 0, 0)
    if not good and failed == 0:
        failed = 1
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            counted = count(test)
            total = [one + more for one, more in zip(total, counted)]
            if counted[1]:
                print(f"FAILED: {test['name']} ({test['result']})", file=sys.stderr)
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
