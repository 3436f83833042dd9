#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house that a machine can check: style.py [FOLDER].

Reads the source tree as it lies there, with or without git. Each rule is a function that yields
what it finds; style_test.py shows that each of them can fail.
"""
import pathlib
import re
import sys

WIDTH = 100
LONGEST = 400
# A longer file needs a reason, and loses it as soon as it gets shorter.
LONG_FILES = {
    "backends/outbox/storage/memory.ipp": "the model to copy is read as a whole",
}
CPP = {".hpp", ".cpp", ".ipp"}
LINE_COMMENTS = {".hpp": "//", ".cpp": "//", ".ipp": "//", ".py": "#", ".sh": "#", ".build": "#"}
SCRIPTS = {"dev", ".ci/run"}
LIBRARY = ("include/", "backends/")
BANNED = re.compile(
    r"\b(sleep_for|sleep_until|usleep|nanosleep|std::rand|getenv"
    r"|(?:steady|system|high_resolution)_clock::now)\b"
)
# Spelt in two halves, so that this file keeps its own rules.
MARKS = re.compile(r"\b(?:TO" "DO|FIX" "ME|XX" r"X)\b")
VIEWS = re.compile(r"\bstd::(?:ranges::)?vi" r"ews\b")
TEST_NAME = re.compile(r'\bTEST_CASE\(\s*"([^"\n]+)"')
MACHINE = re.compile(r"(?<![\w./])/(?:wo" "rk|ro" r"ot)/")


class Tree:
    """Our own text files, by their path from the root."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.files = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if path.is_symlink() or not path.is_file() or not ours(name):
                continue
            try:
                self.files[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a picture, or bytes that a test needs

    def named(self, *suffixes, under=("",)):
        for name, text in self.files.items():
            if name.endswith(suffixes) and name.startswith(under):
                yield name, text

    def code(self):
        """C++, Python, shell, meson."""
        for name, text in self.files.items():
            if comment_of(name):
                yield name, text


def ours(name):
    parts = name.split("/")
    if any(part.startswith("build") for part in parts[:1]) and len(parts) > 1:
        return False
    if "__pycache__" in parts or ".run" in parts:
        return False
    if parts[0] == "subprojects":
        return len(parts) == 2 or parts[1] == "packagefiles"
    return not parts[0].startswith(".") or parts[0] == ".ci" or len(parts) == 1


def comment_of(name):
    base = name.rsplit("/", 1)[-1]
    if name in SCRIPTS or base in ("meson_options.txt", "Makefile"):
        return "#"
    return LINE_COMMENTS.get(pathlib.PurePosixPath(base).suffix)


def without_comments(text):
    """C++ with its comments blanked, line for line."""
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.S)
    return re.sub(r"(?m)(^|[^:\"])//.*$", r"\1", text)


def lines_matching(text, pattern):
    for number, line in enumerate(text.split("\n"), 1):
        found = pattern.search(line)
        if found:
            yield number, found[0]


def no_line_is_longer_than_the_width(tree):
    for name, text in tree.code():
        free = False
        for number, line in enumerate(text.split("\n"), 1):
            if "clang-format off" in line:
                free = True
            if len(line) > WIDTH and not free and "://" not in line:
                yield f"{name}:{number}: {len(line)} columns, at most {WIDTH}"
            if "clang-format on" in line:
                free = False


def every_file_begins_with_its_licence(tree):
    for name, text in tree.code():
        lines = text.split("\n")
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        wanted = comment_of(name) + " SPDX-License-Identifier: MIT"
        if first != wanted:
            yield f"{name}:1: begin with the line: {wanted}"


def no_file_is_longer_than_the_limit(tree):
    for name, text in tree.code():
        count = text.count("\n")
        if count > LONGEST and name not in LONG_FILES:
            yield f"{name}: {count} lines, at most {LONGEST}: split it where the second idea begins"
        if count <= LONGEST and name in LONG_FILES:
            yield f"{name}: {count} lines, no exception needed: remove it from LONG_FILES"


def every_header_is_guarded(tree):
    for name, text in tree.named(".hpp"):
        if "\n#pragma once\n" not in text:
            yield f"{name}: has no #pragma once"


def every_header_is_included_by_somebody(tree):
    included = set()
    for name, text in tree.named(*CPP, ".py"):
        for path in re.findall(r"(?m)^\s*#\s*include\s+[\"<]([^\">]+)[\">]", text):
            if not name.endswith("/" + path):
                included.add(path)
            beside = pathlib.PurePosixPath(name).parent / path
            included.add(beside.as_posix())
    for name, _ in tree.named(".hpp", ".ipp"):
        tails = {name}
        for root in ("include/", "backends/", "tests/", "example/", "bench/"):
            if name.startswith(root):
                tails.add(name[len(root) :])
        if not tails & included:
            yield f"{name}: nobody includes it: use it, test it or remove it"


def nothing_but_the_clock_waits_or_tells_time(tree):
    for name, text in tree.named(*CPP, under=LIBRARY):
        if name == "include/outbox/clock.hpp":
            continue
        for number, word in lines_matching(without_comments(text), BANNED):
            yield f"{name}:{number}: {word}: ask the Clock (include/outbox/clock.hpp)"


def no_standard_views(tree):
    for name, text in tree.named(*CPP):
        for number, word in lines_matching(without_comments(text), VIEWS):
            yield f"{name}:{number}: {word}: clang 14 refuses it, range-v3 has the same"


def no_marks_of_unfinished_work(tree):
    for name, text in tree.files.items():
        for number, word in lines_matching(text, MARKS):
            yield f"{name}:{number}: {word}: do it, or file it as an issue"


def no_paths_of_one_machine(tree):
    for name, text in tree.files.items():
        for number, word in lines_matching(text, MACHINE):
            yield f"{name}:{number}: {word} exists on one machine only"


def without_code_blocks(text):
    """Markdown with fenced blocks and code spans blanked."""
    text = re.sub(r"(?ms)^```.*?^```", lambda found: "\n" * found[0].count("\n"), text)
    return re.sub(r"`[^`\n]*`", "", text)


def headings(text):
    """The anchors of a page, made as the usual viewers make them."""
    anchors = set()
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    for title in re.findall(r"(?m)^#{1,6}\s+(.*?)\s*#*$", text):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        anchor = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        unique, number = anchor, 0
        while unique in anchors:
            number += 1
            unique = f"{anchor}-{number}"
        anchors.add(unique)
    return anchors


def no_link_is_dead(tree):
    for name, text in tree.named(".md"):
        text = without_code_blocks(text)
        for number, line in enumerate(text.split("\n"), 1):
            for target in re.findall(r"\]\(<?([^)\s>]+)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                place = (tree.root / name).parent / path if path else tree.root / name
                if not place.exists():
                    yield f"{name}:{number}: {target}: there is no such file"
                elif anchor and place.suffix == ".md":
                    if anchor not in headings(place.read_text(encoding="utf-8")):
                        yield f"{name}:{number}: {target}: there is no such heading"


def dedented(text):
    """Lines without the indentation that all of them share, nor blank ends."""
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    shared = min((len(x) - len(x.lstrip()) for x in lines if x), default=0)
    return [line[shared:] for line in lines]


def is_excerpt(block, text):
    """Whether `block` is `text`, or lines of it that follow each other."""
    wanted, whole = dedented(block), text.split("\n")
    for at in range(len(whole) - len(wanted) + 1):
        if dedented("\n".join(whole[at : at + len(wanted)])) == wanted:
            return True
    return False


def the_code_in_the_readme_is_compiled_code(tree):
    text = tree.files.get("README.md", "")
    pattern = r"(?ms)^(?:<!-- example: (\S+) -->\n+)?^```(?:cpp|c\+\+)\n(.*?)^```"
    for found in re.finditer(pattern, text):
        path, block = found[1], found[2]
        number = text.count("\n", 0, found.start(2))
        where = f"README.md:{number}"
        if path is None:
            yield f"{where}: say which file this is: <!-- example: path --> above the block"
        elif path not in tree.files:
            yield f"{where}: {path}: there is no such file"
        elif not is_excerpt(block, tree.files[path]):
            yield f"{where}: differs from {path}, which is what gets compiled"


def tests_named(text):
    """List items of the form - `NAME` ([path](link)): line, name, path, link."""
    text = re.sub(r"(?ms)^```.*?^```", lambda found: "\n" * found[0].count("\n"), text)
    for found in re.finditer(r"(?m)^ *- `([^`\n]+)`\s+\(\[([^\]]+)\]\(([^)\s]+)\)\)", text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2], found[3]


def every_test_named_in_the_docs_exists(tree):
    for name, text in tree.named(".md", under=("docs/", "README.md")):
        for number, test, path, link in tests_named(text):
            place = ((tree.root / name).parent / link).resolve()
            source = tree.files.get(path)
            if source is None or place != tree.root / path:
                yield f"{name}:{number}: {path}: there is no such file, or the link leads elsewhere"
            elif test not in re.findall(TEST_NAME, without_comments(source)):
                yield f'{name}:{number}: {path} has no test "{test}"'


RULES = [
    no_line_is_longer_than_the_width,
    every_file_begins_with_its_licence,
    no_file_is_longer_than_the_limit,
    every_header_is_guarded,
    every_header_is_included_by_somebody,
    nothing_but_the_clock_waits_or_tells_time,
    no_standard_views,
    no_marks_of_unfinished_work,
    no_paths_of_one_machine,
    no_link_is_dead,
    the_code_in_the_readme_is_compiled_code,
    every_test_named_in_the_docs_exists,
]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]
    tree = Tree(root)
    failed = 0
    for rule in RULES:
        problems = list(rule(tree))
        failed += bool(problems)
        for problem in problems:
            print(f"{problem}  [{rule.__name__.replace('_', ' ')}]")
    print(f"{len(tree.files)} files read")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not tree.files else 0)


if __name__ == "__main__":
    main()
