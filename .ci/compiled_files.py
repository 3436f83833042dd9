#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints our source files in BUILD's compile database, each once, ended by NUL: what tidy reads."""
import json
import pathlib
import sys

build = pathlib.Path(sys.argv[1]).resolve()
found = set()
for entry in json.loads((build / "compile_commands.json").read_text()):
    path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
    if build not in path.parents and "subprojects" not in path.relative_to(build.parent).parts:
        found.add(path.relative_to(build.parent).as_posix())
sys.stdout.write("".join(name + "\0" for name in sorted(found)))
