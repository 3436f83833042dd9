#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the migrations for another table: render.py NAME [postgres|sqlite] [up|down].

NAME is `table` or, on PostgreSQL, `schema.table`; it names all that belongs to the outbox, since
each of those names begins with that of the table. For hands that run SQL themselves; a program
calls migrate() instead.
"""
import pathlib
import re
import sys

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
OURS = re.compile(r"(?<![A-Za-z0-9_])outbox(?![A-Za-z0-9])")


def checked(what, name, limit):
    """The rules of include/outbox/table_name.hpp."""
    if not PLAIN.fullmatch(name) or name.startswith(("pg_", "sqlite_")) or len(name) > limit:
        sys.exit(
            f"render.py: {what} name '{name}' is not plain: lower-case letters, digits and"
            f" underscores, no digit first, at most {limit} bytes, not pg_ nor sqlite_ in front"
        )
    return name


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    name, storage, direction = (sys.argv[1:] + ["postgres", "up"][len(sys.argv) - 2 :])[:3]
    if storage not in ("postgres", "sqlite") or direction not in ("up", "down"):
        sys.exit(__doc__)
    schema, dot, table = name.rpartition(".")
    checked("table", table, 44)
    if dot and storage == "sqlite":
        sys.exit("render.py: SQLite has no schemas: say the table's name alone")
    files = sorted(pathlib.Path(__file__).with_name(storage).glob(f"[0-9]*.{direction}.sql"))
    if not files:
        sys.exit(f"render.py: there are no migrations in migrations/{storage}")
    if dot:
        print(f"set search_path to {checked('schema', schema, 63)};\n")
    for path in files if direction == "up" else reversed(files):
        print(OURS.sub(table, path.read_text(encoding="utf-8")))


main()
