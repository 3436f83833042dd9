#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the SQL files of one folder as a C++ header: embed.py STORAGE FOLDER OUTPUT."""
import pathlib
import sys


def sources(folder):
    return sorted(pathlib.Path(folder).glob("[0-9]*.sql"))


def main():
    if sys.argv[1] == "--list":
        print("\n".join(str(path) for path in sources(sys.argv[2])))
        return
    storage, folder, output = sys.argv[1:]
    lines = [
        "// Generated from migrations/" + storage + " by embed.py.",
        "#pragma once",
        "#include <array>",
        "#include <string_view>",
        "namespace outbox::migrations {",
        "struct file { int version; std::string_view name; std::string_view up; std::string_view down; };",
    ]
    ups = [path for path in sources(folder) if path.name.endswith(".up.sql")]
    lines.append(f"inline constexpr std::array<file, {len(ups)}> {storage}{{{{")
    for up in ups:
        down = up.with_name(up.name.replace(".up.sql", ".down.sql"))
        number, name = up.name[: -len(".up.sql")].split("_", 1)
        lines.append(
            f'    {{{int(number)}, "{name}",\nR"outbox_sql({up.read_text()})outbox_sql",\n'
            f'R"outbox_sql({down.read_text()})outbox_sql"}},'
        )
    lines += ["}};", "}  // namespace outbox::migrations", ""]
    pathlib.Path(output).write_text("\n".join(lines))


main()
