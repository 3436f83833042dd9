#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants one bug after the other and demands that the proofs find it.

Each patch beside this file breaks one rule of the library. Its head says what it does, which
guarantee that breaks, who must catch it (`simulation`, or `PROGRAM: NAME OF A TEST`), and whether
it is silent: whether it passes every unit test and every seed without faults, so that nothing but
faults and laws can tell. A patch that no longer applies, a bug that is not caught, is caught by
another guarantee's breach, or merely crashes: each is a failure.

    prove.py [NAME...]      all of them, or these
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "build-mutants"
TREE = WORK / "source"
BUILD = WORK / "build"

SEEDS = "2000"
CALM_SEEDS = "500"
# Ends what a planted bug makes run for ever; nothing that is caught takes a tenth of it.
PATIENCE_SECONDS = 300

FEWEST = 30
FEWEST_SILENT = 15
SIMULATION = "simulation"


class Refuted(Exception):
    """A claim in the head of a patch does not hold."""


@dataclass
class Mutant:
    name: str
    path: pathlib.Path
    rule: str
    breaks: list
    program: str  # `simulation`, or that of a test
    test: str
    silent: bool
    seeds: str  # for the simulation; a bug that shows more rarely says so in its head

    @property
    def files(self):
        return re.findall(r"^\+\+\+ b/(\S+)$", self.path.read_text(), re.MULTILINE)


def read(path):
    text = path.read_text()
    head = dict(re.findall(r"^(Breaks|Caught by|Seeds|Silent): (.+)$", text, re.MULTILINE))
    program, _, test = head["Caught by"].partition(": ")
    return Mutant(path.stem, path, text.split("\n\n")[0].replace("\n", " "),
                  head["Breaks"].split(), program, test, head["Silent"] == "yes",
                  head.get("Seeds", SEEDS))


def say(text):
    print(text, flush=True)


def run(command, **more):
    return subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, **more)


def listed_files():
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, check=True, text=True, capture_output=True).stdout
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def copy_tree():
    """Only what differs is copied, so that ninja builds no more than it must."""
    for name in listed_files():
        there = TREE / name
        if there.exists() and there.read_bytes() == (ROOT / name).read_bytes():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, there)
        shutil.copymode(ROOT / name, there)


def build(*targets):
    done = subprocess.run(["ninja", "-C", str(BUILD), *targets], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Refuted("it does not compile:\n" + done.stdout[-2000:])


def unit_programs():
    listed = subprocess.run(["ninja", "-C", str(BUILD), "-t", "targets", "all"], check=True,
                            text=True, capture_output=True).stdout
    return sorted(set(re.findall(r"^(tests/unit/unit_\w+): ", listed, re.MULTILINE)))


def path_of(program):
    if program == SIMULATION:
        return "tests/simulation/simulate"
    return f"tests/{program.split('_')[0]}/{program}"


def as_pattern(test):
    return test.replace("\\", "\\\\").replace(",", "\\,").replace("[", "\\[")


def run_test(program, test):
    """Whether the one test that has this name fails."""
    done = run([BUILD / path_of(program), as_pattern(test)])
    if done.returncode < 0:
        raise Refuted(f"{program} merely crashes: signal {-done.returncode}")
    if "No test cases matched" in done.stdout or "No tests ran" in done.stdout:
        raise Refuted(f"{program} has no test called: {test}")
    return done.returncode != 0


def violation_under_faults(seeds):
    done = run([BUILD / path_of(SIMULATION), "--seeds", seeds, "--threads", os.cpu_count() or 1,
                "--until-first"])
    if done.returncode < 0:
        raise Refuted(f"the simulation merely crashes: signal {-done.returncode}")
    return re.search(r"^seed (\d+): (.+)$", done.stdout, re.MULTILINE)


def catch(mutant):
    """How it was caught."""
    build(path_of(mutant.program))
    if mutant.program != SIMULATION:
        if not run_test(mutant.program, mutant.test):
            raise Refuted(f"{mutant.program} passes: {mutant.test}")
        return f"{mutant.program}: {mutant.test}"
    found = violation_under_faults(mutant.seeds)
    if found is None:
        raise Refuted(f"not caught in {mutant.seeds} seeds")
    if not any(found[2].startswith(one) for one in mutant.breaks):
        raise Refuted(f"caught as something else: {found[2]}")
    return f"seed {found[1]}: {found[2]}"


def is_noticed_without_faults(units):
    build(*units, path_of(SIMULATION))
    for one in units:
        if run([BUILD / one]).returncode != 0:
            return one.rsplit("/", 1)[-1]
    calm = run([BUILD / path_of(SIMULATION), "--calm", "--seeds", CALM_SEEDS])
    return f"{CALM_SEEDS} seeds without faults" if calm.returncode != 0 else None


def judge(mutant, units):
    applied = run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch",
                   "-r", "-", "-i", mutant.path], cwd=TREE)
    if applied.returncode != 0:
        raise Refuted("the patch no longer applies:\n" + applied.stdout)
    caught = catch(mutant)
    if mutant.silent:
        noticed = is_noticed_without_faults(units)
        if noticed:
            raise Refuted(f"it is not silent, {noticed} fails; {caught}")
    return caught


def prepare(mutants):
    """The tree without a bug, in which each named test passes."""
    copy_tree()
    if not (BUILD / "build.ninja").exists():
        made = run(["meson", "setup", BUILD, TREE, "--buildtype=debug", "-Dexamples=false",
                    "-Dbenchmarks=false"])
        if made.returncode != 0:
            sys.exit(made.stdout)
    say("building what has no bug planted")
    units = unit_programs()
    build(*units, *{path_of(one.program) for one in mutants})
    for program, test in sorted({(one.program, one.test) for one in mutants if one.test}):
        if run_test(program, test):
            raise Refuted(f"{program} fails without any bug: {test}")
    return units


def main():
    words = argparse.ArgumentParser(description="Plants bugs that the proofs must find.")
    words.add_argument("names", nargs="*", help="only these")
    asked = words.parse_args()
    mutants = [read(path) for path in sorted(HERE.glob("*.patch"))]
    if asked.names:
        mutants = [one for one in mutants if one.name in asked.names]
        missing = set(asked.names) - {one.name for one in mutants}
        if missing:
            sys.exit("no patch is called " + ", ".join(sorted(missing)))

    began = time.monotonic()
    units = prepare(mutants)
    failed = []
    for number, one in enumerate(mutants, 1):
        without_bug = {name: (TREE / name).read_bytes() for name in one.files}
        try:
            how = judge(one, units)
        except (Refuted, subprocess.TimeoutExpired) as why:
            failed.append(one.name)
            how = f"FAILED: {why}"
        finally:
            for name, text in without_bug.items():
                (TREE / name).write_bytes(text)
        silent = "silent" if one.silent else "      "
        say(f"{number:3} of {len(mutants)}  {' '.join(one.breaks):12} {silent}  {one.name}\n"
            f"{'':11}{one.rule}\n{'':11}{how}")

    silent = sum(one.silent for one in mutants)
    simulated = sum(one.silent and one.program == SIMULATION for one in mutants)
    say(f"\nplanted  {len(mutants)}, {silent} of them silent, {simulated} of these for the "
        f"simulation alone\ncaught   {len(mutants) - len(failed)}\ntime     "
        f"{time.monotonic() - began:.0f} s")
    for name in failed:
        say(f"failed   {name}")
    few = not asked.names and (len(mutants) < FEWEST or silent < FEWEST_SILENT)
    if few:
        say(f"too few: {FEWEST} are wanted, {FEWEST_SILENT} of them silent")
    return 1 if failed or few else 0


if __name__ == "__main__":
    sys.exit(main())
