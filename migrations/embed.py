#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the SQL files of one folder as a C++ header, so that a program carries its migrations.

embed.py STORAGE FOLDER OUTPUT     writes the header
embed.py --list FOLDER             prints the files that it is made of, one a line
"""
import pathlib
import sys

HEAD = """\
// Generated from migrations/{storage}: change the SQL files, not this.
#pragma once
#include <array>
#include <string_view>
namespace outbox::migrations {{
#ifndef OUTBOX_MIGRATIONS_FILE
#define OUTBOX_MIGRATIONS_FILE
struct file {{
    int version{{0}};
    std::string_view name{{}};
    std::string_view up{{}};
    std::string_view down{{}};
}};
#endif
inline constexpr std::array<file, {count}> {storage}{{{{
"""


def sources(folder):
    return sorted(pathlib.Path(folder).glob("[0-9]*.sql"))


def literal(path):
    """A raw string; adjacent pieces, because some compilers limit the length of one."""
    text = path.read_text(encoding="utf-8")
    if ")outbox_sql\"" in text:
        sys.exit(f"{path}: contains the mark that ends a raw string")
    pieces = [text[at : at + 8000] for at in range(0, len(text), 8000)] or [""]
    return "\n".join(f'R"outbox_sql({piece})outbox_sql"' for piece in pieces)


def header(storage, folder):
    entries = []
    for number, up in enumerate((p for p in sources(folder) if p.name.endswith(".up.sql")), 1):
        down = up.with_name(up.name.replace(".up.sql", ".down.sql"))
        if not down.is_file():
            sys.exit(f"{up}: has no {down.name} beside it")
        version, name = up.name[: -len(".up.sql")].split("_", 1)
        if int(version) != number:
            sys.exit(f"{up}: is number {number} in order; versions go 1, 2, 3 without a gap")
        entries.append(f'{{{number}, "{name}",\n{literal(up)},\n{literal(down)}}},\n')
    start = HEAD.format(storage=storage, count=len(entries))
    return start + "".join(entries) + "}};\n}  // namespace outbox::migrations\n"


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--list":
        for path in sources(sys.argv[2]):
            print(path)
    elif len(sys.argv) == 4:
        storage, folder, output = sys.argv[1:]
        pathlib.Path(output).write_text(header(storage, folder), encoding="utf-8")
    else:
        sys.exit(__doc__)


main()
