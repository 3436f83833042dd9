#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same seeds tell the same story, event by event, on every compiler and at every optimisation.

Compiles the simulation with each and compares the hash of all events of 300 seeds.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = "300"


def hash_of(compiler: str, optimisation: str, folder: pathlib.Path) -> str:
    program = folder / f"{compiler}{optimisation}"
    launcher = ["ccache"] if shutil.which("ccache") else []
    subprocess.run([*launcher, compiler, "-std=c++20", optimisation, "-pthread", "-Iinclude",
                    "-Ibackends", "-Itests", "-c", "tests/simulation/simulate.cpp",
                    "-o", f"{program}.o"], cwd=ROOT, check=True)
    subprocess.run([compiler, f"{program}.o", "-pthread", "-o", program], cwd=ROOT, check=True)
    told = subprocess.run([program, "--seeds", SEEDS], check=True, text=True,
                          capture_output=True).stdout
    return re.search(r"hash of all events +(\w+)", told).group(1)


def main() -> int:
    hashes = set()
    with tempfile.TemporaryDirectory() as folder:
        for compiler in ("g++", "clang++"):
            for optimisation in ("-O0", "-O2"):
                found = hash_of(compiler, optimisation, pathlib.Path(folder))
                print(f"{compiler:8} {optimisation}  {found}", flush=True)
                hashes.add(found)
    print("the same story everywhere" if len(hashes) == 1 else "THE STORIES DIFFER")
    return 0 if len(hashes) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
