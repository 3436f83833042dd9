#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What count.py makes of the programs' last words: a green sum must never hide a red program."""
import sys
import unittest

import count

ALL_GOOD = "===\nAll tests passed (12 assertions in 3 test cases)\n"
ONE_BAD = "===\ntest cases: 5 | 4 passed | 1 failed\nassertions: 9 | 8 passed | 1 failed\n"
ONE_EXPECTED = "test cases:  5 |  4 passed | 1 failed as expected\nassertions: 9 | 9 passed\n"
ONE_SKIPPED = "test cases: 5 | 4 passed | 1 skipped\n"


def counted(result, stdout):
    return count.count({"name": "x", "result": result, "stdout": stdout})


class CountTest(unittest.TestCase):
    def test_cases_of_catch_are_counted(self):
        self.assertEqual(counted("OK", ALL_GOOD), (3, 0, 0))
        self.assertEqual(counted("FAIL", ONE_BAD), (4, 1, 0))
        self.assertEqual(counted("OK", ONE_EXPECTED), (5, 0, 0))
        self.assertEqual(counted("OK", ONE_SKIPPED), (4, 0, 1))

    def test_one_case_is_a_case(self):
        one = "All tests passed (1 assertion in 1 test case)\n"
        self.assertEqual(counted("OK", one), (1, 0, 0))

    def test_our_own_last_line_is_counted(self):
        self.assertEqual(counted("OK", "...\n7 passed, 0 failed\n"), (7, 0, 0))
        self.assertEqual(counted("FAIL", "...\n7 passed, 2 failed, 1 skipped\n"), (7, 2, 1))

    def test_the_last_summary_counts(self):
        self.assertEqual(counted("FAIL", ALL_GOOD + ONE_BAD), (4, 1, 0))

    def test_a_program_that_says_nothing_is_one_case(self):
        self.assertEqual(counted("OK", ""), (1, 0, 0))
        self.assertEqual(counted("FAIL", ""), (0, 1, 0))

    def test_a_crash_after_the_summary_is_a_failure(self):
        self.assertEqual(counted("FAIL", ALL_GOOD), (3, 1, 0))
        self.assertEqual(counted("TIMEOUT", ""), (0, 1, 0))

    def test_a_program_that_ran_no_case_has_failed(self):
        self.assertEqual(counted("OK", "No tests ran\n"), (0, 1, 0))

    def test_a_skipped_program_is_skipped(self):
        self.assertEqual(counted("SKIP", ""), (0, 0, 1))


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed", flush=True)
    sys.exit(1 if bad or not result.testsRun else 0)
