#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every rule of style.py is broken once on a small tree made for it, and must say so."""
import pathlib
import sys
import tempfile
import unittest

import style

CPP = "// SPDX-License-Identifier: MIT\n"
HEADER = CPP + "#pragma once\n"
SOUND = {
    "include/outbox/clock.hpp": HEADER + "inline auto now = std::chrono::steady_clock::now();\n",
    "include/outbox/letter.hpp": HEADER + '#include "outbox/clock.hpp"\n',
    "tests/unit/letter_test.cpp": CPP + '#include "outbox/letter.hpp"\nint main() {}\n',
    "dev": "#!/usr/bin/env bash\n# SPDX-License-Identifier: MIT\n",
    "README.md": "# Title\n\n[there](docs/page.md#a-heading)\n\n"
    "<!-- example: tests/unit/letter_test.cpp -->\n```cpp\nint main() {}\n```\n",
    "docs/page.md": "# Page\n\n## A heading\n\n[up](../README.md) `[not](a-link)`\n",
    "docs/figure.bin": b"\xff\xfe\x00",
}


class StyleTest(unittest.TestCase):
    def problems(self, changes, rule=None):
        """What the rules find in the sound tree with `changes` laid over it."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**SOUND, **changes}.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            tree = style.Tree(folder)
            rules = [rule] if rule else style.RULES
            return [problem for one in rules for problem in one(tree)]

    def refuses(self, rule, changes, *words):
        found = self.problems(changes, rule)
        self.assertTrue(found, f"{rule.__name__} found nothing in {changes}")
        for word in words:
            self.assertIn(word, "\n".join(found))

    def test_a_sound_tree_is_left_alone(self):
        self.assertEqual(self.problems({}), [])

    def test_a_long_line_is_found(self):
        rule = style.no_line_is_longer_than_the_width
        long = "int x;" + " " * 95 + "\n"
        self.refuses(rule, {"include/outbox/a.hpp": HEADER + long}, "a.hpp:3: 101 columns")
        self.refuses(rule, {"bench/meson.build": "# " + "x" * 99 + "\n"}, "bench/meson.build:1")
        free = "// clang-format off\n" + long + "// clang-format on\n"
        self.assertEqual(self.problems({"include/outbox/a.hpp": HEADER + free}, rule), [])
        self.refuses(rule, {"include/outbox/a.hpp": HEADER + free + long}, "a.hpp:6")

    def test_a_missing_licence_is_found(self):
        rule = style.every_file_begins_with_its_licence
        self.refuses(rule, {"tests/a.cpp": "int main() {}\n"}, "tests/a.cpp:1")
        self.refuses(rule, {"dev": "#!/usr/bin/env bash\nset -e\n"}, "dev:1")
        self.refuses(rule, {"meson.build": "project('x')\n"}, "meson.build:1")
        self.refuses(rule, {"x.py": "import sys\n"}, "x.py:1")

    def test_a_long_file_is_found(self):
        rule = style.no_file_is_longer_than_the_limit
        self.refuses(rule, {"tests/a.cpp": CPP + "\n" * 400}, "401 lines")
        self.assertEqual(self.problems({"tests/a.cpp": CPP + "\n" * 399}, rule), [])

    def test_an_exception_that_is_not_needed_any_more_is_found(self):
        for name in style.LONG_FILES:
            self.refuses(style.no_file_is_longer_than_the_limit, {name: CPP}, "no exception")

    def test_an_unguarded_header_is_found(self):
        self.refuses(style.every_header_is_guarded, {"include/outbox/a.hpp": CPP}, "a.hpp")

    def test_a_dead_header_is_found(self):
        rule = style.every_header_is_included_by_somebody
        self.refuses(rule, {"include/outbox/a.hpp": HEADER}, "include/outbox/a.hpp")
        itself = {"include/outbox/a.hpp": HEADER + '#include "outbox/a.hpp"\n'}
        self.refuses(rule, itself, "include/outbox/a.hpp")
        beside = {"tests/x/a.hpp": HEADER, "tests/x/a.cpp": CPP + '#include "a.hpp"\n'}
        self.assertEqual(self.problems(beside, rule), [])

    def test_a_banned_call_is_found(self):
        rule = style.nothing_but_the_clock_waits_or_tells_time
        for call in (
            "std::this_thread::sleep_for(1s);",
            "std::this_thread::sleep_until(t);",
            "auto t = std::chrono::steady_clock::now();",
            "auto t = std::chrono::system_clock::now();",
            "auto n = std::rand();",
            'auto h = std::getenv("HOME");',
        ):
            self.refuses(rule, {"backends/outbox/a.cpp": CPP + call + "\n"}, "a.cpp:2")
        comment = {"backends/outbox/a.cpp": CPP + "// no sleep_for here\n/* nor\n getenv */\n"}
        self.assertEqual(self.problems(comment, rule), [])
        elsewhere = {"tests/a.cpp": CPP + "std::this_thread::sleep_for(1s);\n"}
        self.assertEqual(self.problems(elsewhere, rule), [])

    def test_a_standard_view_is_found(self):
        rule = style.no_standard_views
        self.refuses(rule, {"tests/a.cpp": CPP + "x | std::vi" "ews::take(1);\n"}, "a.cpp:2")

    def test_a_mark_of_unfinished_work_is_found(self):
        rule = style.no_marks_of_unfinished_work
        self.refuses(rule, {"docs/a.md": "TO" "DO: write this\n"}, "docs/a.md:1")
        self.refuses(rule, {"tests/a.cpp": CPP + "// FIX" "ME\n"}, "a.cpp:2")

    def test_a_path_of_one_machine_is_found(self):
        rule = style.no_paths_of_one_machine
        self.refuses(rule, {"docs/a.md": "see /wo" "rk/notes\n"}, "docs/a.md:1")

    def test_a_dead_link_is_found(self):
        rule = style.no_link_is_dead
        self.refuses(rule, {"docs/a.md": "[x](gone.md)\n"}, "gone.md")
        self.refuses(rule, {"docs/a.md": "[x](page.md#gone)\n"}, "page.md#gone")
        self.refuses(rule, {"docs/a.md": "# A\n\n[x](#b)\n"}, "#b")
        self.assertEqual(self.problems({"docs/a.md": "```\n[x](gone.md)\n```\n"}, rule), [])

    def test_code_in_the_readme_that_is_nobodys_is_found(self):
        rule = style.the_code_in_the_readme_is_compiled_code
        mark = "<!-- example: tests/unit/letter_test.cpp -->\n"
        self.refuses(rule, {"README.md": "```cpp\nint main() {}\n```\n"}, "README.md:1")
        self.refuses(rule, {"README.md": mark + "```cpp\nint mian() {}\n```\n"}, "differs")
        gone = "<!-- example: tests/gone.cpp -->\n```cpp\nint x;\n```\n"
        self.refuses(rule, {"README.md": gone}, "no such file")

    def test_a_test_that_the_docs_name_and_nobody_wrote_is_found(self):
        rule = style.every_test_named_in_the_docs_exists
        test = CPP + 'TEST_CASE("a letter arrives") {}\nTEST_CASE(\n    "it is read") {}\n'
        path = "tests/unit/letter_test.cpp"

        def docs(name, shown=path, link="../" + path, between=" "):
            page = f"# A\n\nShown by:\n\n- `{name}`{between}([{shown}]({link}))\n"
            return {path: test, "docs/a.md": page}

        for name in ("a letter arrives", "it is read"):
            self.assertEqual(self.problems(docs(name), rule), [])
            self.assertEqual(self.problems(docs(name, between="\n  "), rule), [])
        self.refuses(rule, docs("a letter arrive"), "docs/a.md:5", "no test")
        self.refuses(rule, docs("a letter", between="\n  "), "docs/a.md:5", "no test")
        self.refuses(rule, docs("it is read", "tests/gone.cpp"), "no such file")
        self.refuses(rule, docs("it is read", link="../tests/gone.cpp"), "leads elsewhere")
        commented = {**docs("a letter arrives"), path: CPP + '// TEST_CASE("a letter arrives")\n'}
        self.refuses(rule, commented, "no test")
        readme = f"- `a letter` ([{path}]({path}))\n"
        self.refuses(rule, {path: test, "README.md": readme}, "README.md:1")

    def test_build_folders_are_not_read(self):
        strangers = {
            "build/a.cpp": "int x;\n",
            "build-clang/x/a.cpp": "int x;\n",
            ".git/hooks/a.py": "x = 1\n",
            "subprojects/soci/a.cpp": "int x;\n",
        }
        self.assertEqual(self.problems(strangers), [])

    def test_every_rule_is_tested_here(self):
        source = pathlib.Path(__file__).read_text(encoding="utf-8")
        for rule in style.RULES:
            self.assertIn("style." + rule.__name__, source)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed", flush=True)
    sys.exit(1 if bad or not result.testsRun else 0)
