# SPDX-License-Identifier: MIT
"""usage: tally.py TESTLOG.json

What `meson test` found, test by test: our programs end with a line that says how many passed,
and so does pytest. Prints "PASSED FAILED SKIPPED"; to standard error all that the tests that
failed said, and which took longest.
"""
import json
import re
import sys

COUNT = re.compile(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b")
KIND = {"passed": 0, "xfailed": 0, "failed": 1, "xpassed": 1, "error": 1, "errors": 1, "skipped": 2}
GOOD = ("OK", "EXPECTEDFAIL")


def counts(test):
    """[passed, failed, skipped] of one program."""
    found = [0, 0, 0]
    if test["result"] == "SKIP":
        return [0, 0, 1]
    last = test.get("stdout", "").rstrip().rpartition("\n")[2]
    for number, word in COUNT.findall(last):
        found[KIND[word]] += int(number)
    if test["result"] not in GOOD and not found[1]:
        found[1] = 1            # it did not come to its last line
    if not any(found):
        found[0] = 1            # a program that does not count
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as log:
        tests = [json.loads(line) for line in log]
    for test in tests:
        if test["result"] not in (*GOOD, "SKIP"):
            print(f"\n--- {test['name']}: {test['result']}, exit code {test['returncode']}\n"
                  f"{test.get('stdout', '')}{test.get('stderr', '')}", file=sys.stderr)
    longest = sorted(tests, key=lambda test: -test["duration"])[:5]
    print("longest:", ", ".join(f"{t['name'].rpartition(' / ')[2]} {t['duration']:.0f} s" for t in longest),
          file=sys.stderr)
    print(*map(sum, zip(*map(counts, tests))))


main()
