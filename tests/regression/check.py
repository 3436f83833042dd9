#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares counts that do not wobble with recorded.json: check.py GROUP COMPILER ARGUMENT...

memory    PROGRAM              instructions and allocations a message, storage and broker in memory
lines     COMMAND...           preprocessed lines of the umbrella header, by this compiler
postgres  PROGRAM              round trips a batch and dead rows a message

Nothing here measures time. COMPILER, such as "gcc 12 x86_64", says which values hold for the first
two groups. Where a change is meant, record it: OUTBOX_RECORD=1 ./dev test --suite regression
"""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORDED = HERE / "recorded.json"
MARGIN = 0.03
RECORD = "OUTBOX_RECORD=1 ./dev test --suite regression"
SKIPPED = 77

sys.path.insert(0, str(ROOT / "bench"))
import counting  # noqa: E402


def memory(program):
    found = {}
    for title, count in (("instructions", counting.instructions),
                         ("allocations", counting.allocations)):
        enqueue, deliver = counting.enqueue_and_deliver(count, program, "outbox")
        found[f"{title} a message, enqueue"] = enqueue
        found[f"{title} a message, deliver"] = deliver
    return found


def lines(*command):
    words = [*command, "-std=c++20", "-E", f"-I{ROOT / 'include'}", "-x", "c++", "-"]
    done = subprocess.run(words, input="#include <outbox/outbox.hpp>\n", text=True,
                          capture_output=True, check=True)
    return {"preprocessed lines of outbox/outbox.hpp": done.stdout.count("\n")}


def postgres(program):
    done = subprocess.run([program], text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def verdict(value, recorded):
    """Why it does not pass; empty: it does."""
    if recorded is None:
        return "nothing is recorded"
    if abs(value - recorded) <= MARGIN * recorded:
        return ""
    change = f"{(value / recorded - 1) * 100:+.1f} %" if recorded else "more than nothing"
    if value > recorded:
        return f"recorded is {recorded:g}: {change}"
    return f"recorded is {recorded:g}: {change}, which is good: record it, lest it gets lost"


def main():
    group, compiler, *arguments = sys.argv[1:]
    count = {"memory": memory, "lines": lines, "postgres": postgres}[group]
    holds_for = "any compiler" if group == "postgres" else compiler
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    recording = bool(os.environ.get("OUTBOX_RECORD"))
    if group != "postgres" and compiler not in recorded and not recording:
        print(f"no counts are recorded for {compiler}; to record them: {RECORD}", flush=True)
        sys.exit(SKIPPED)
    mine = recorded.setdefault(holds_for, {})
    failed = 0
    found = count(*arguments)
    for name, value in found.items():
        value = round(value, 3)
        why = "" if recording else verdict(value, mine.get(name))
        failed += bool(why)
        print(f"{'FAILED' if why else 'ok'}  {name}: {value:g}" + (f"; {why}" if why else ""))
        mine[name] = value
    if recording:
        RECORDED.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    elif failed:
        print(f"at most {MARGIN:.0%} away may be what is recorded in tests/regression/"
              f"recorded.json; where the change is meant: {RECORD}")
    print(f"{len(found) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not found else 0)


main()
