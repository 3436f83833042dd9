#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the compiler alone can prove: compile_test.py CHECK SOURCE BUILD COMPILER...

headers  each header compiles by itself, and included twice, without a warning
weight   what a producer includes draws in no database, no broker, no big template library
refused  each program of refused/ is refused, and the diagnostic says the words that it names in
         its lines `// says: ...`; with -DREPAIRED the same program compiles, so that it was
         refused for that reason
"""
import json
import multiprocessing.pool
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FLAGS = ["-std=c++20", "-fsyntax-only"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
FOREIGN = re.compile(r"/(boost|range/v3|soci|nats|nlohmann|postgresql|catch2)/|/(sqlite3|libpq)")


class Compiler:
    def __init__(self, source, build, command):
        self.command = command
        self.includes = [f"-I{source / 'include'}", f"-I{source / 'backends'}"]
        self.folders_of_dependencies = foreign_includes(build)

    def run(self, arguments, text=None):
        """The exit status, and all that was said."""
        result = subprocess.run(
            [*self.command, *arguments], input=text, text=True, capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        return result.returncode, result.stdout + result.stderr

    def accepts(self, text, warnings=True):
        arguments = FLAGS + (WARNINGS if warnings else []) + self.includes
        arguments += self.folders_of_dependencies + ["-x", "c++", "-"]
        status, said = self.run(arguments, text)
        return status == 0, said


def foreign_includes(build):
    """The include folders of dependencies, as the build itself found them."""
    folders = []
    commands = build / "compile_commands.json"
    if commands.is_file():
        for entry in json.loads(commands.read_text()):
            for flag, folder in re.findall(r"(-I|-isystem) ?(/\S+)", entry["command"]):
                if folder != "/usr/include" and "-isystem" + folder not in folders:
                    folders.append("-isystem" + folder)
    return folders


def headers(compiler, source):
    """Private headers too: whoever reads one can compile it."""
    found = []
    for root in (source / "include", source / "backends"):
        found += [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.hpp"))]
    # The file that includes these says before whose laws they are: tests/laws does.
    found = [name for name in found if not re.search(r"/laws/(broker|storage)\w*_laws\.hpp$", name)]

    def check(header):
        include = f'#include "{header}"\n'
        good, said = compiler.accepts(include * 2)
        return header, good, said

    return [lambda header=header: check(header) for header in found]


def weight(compiler, source):
    """The umbrella is light; so is all of the core, and what is installed of each backend."""
    light = sorted((source / "include" / "outbox").glob("*.hpp"))
    build_file = (source / "backends" / "meson.build").read_text(encoding="utf-8")
    for installed in re.findall(r"install_headers\(([^)]*)\)", build_file):
        paths = re.findall(r"'(outbox/\S+\.hpp)'", installed)
        light += [source / "backends" / path for path in paths]

    def check(path):
        arguments = ["-std=c++20", "-M", *compiler.includes, "-x", "c++", str(path)]
        status, said = compiler.run(arguments)
        name = path.relative_to(source).as_posix()
        if status != 0:
            return name, False, said
        drawn_in = [
            word for word in said.split()
            if FOREIGN.search(word) and not word.startswith(str(source))
        ]
        return name, not drawn_in, "includes " + " ".join(drawn_in[:5])

    return [lambda path=path: check(path) for path in light]


def refused(compiler, source):
    def check(path):
        text = path.read_text()
        words = re.findall(r"(?m)^// says: (.*)$", text)
        good, said = compiler.accepts(text, warnings=False)
        if not words:
            return path.name, False, "names no words: // says: ..."
        if good:
            return path.name, False, "compiles, but must not"
        missing = [word for word in words if word not in said]
        if missing:
            return path.name, False, f"is refused without the words {missing}:\n{said}"
        good, said = compiler.accepts("#define REPAIRED\n" + text)
        return path.name, good, "is refused even when repaired:\n" + said

    return [lambda path=path: check(path) for path in sorted((HERE / "refused").glob("*.cpp"))]


def main():
    check, source, build, *command = sys.argv[1:]
    source = pathlib.Path(source)
    compiler = Compiler(source, pathlib.Path(build), command)
    tasks = {"headers": headers, "weight": weight, "refused": refused}[check](compiler, source)
    failed = 0
    with multiprocessing.pool.ThreadPool(min(2, os.cpu_count() or 1)) as pool:
        for name, good, said in pool.imap(lambda task: task(), tasks):
            failed += not good
            print(f"{'ok' if good else 'FAILED'}  {name}" + ("" if good else f"\n{said}"))
    print(f"{len(tasks) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not tasks else 0)


main()
