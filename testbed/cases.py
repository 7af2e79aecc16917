# SPDX-License-Identifier: BSD-2-Clause
"""System tests as Python files with several cases, and how they report.

    from cases import case, main, Skip
    @case
    def finds_the_disk():
        Board(...).run(until=[...])
    if __name__ == "__main__":
        main()

A case passes when its function returns, is skipped when it raises Skip, and fails on any
other exception. `NAME.py` runs all, `NAME.py CASE...` some. Per case one line on standard
output, which ./check counts (the TAP form: "ok N - name", "not ok N - name", "# SKIP why").
"""
import sys
import time
import traceback

from board import Failed
from initramfs import Missing

_cases = []


class Skip(Exception):
    """This case cannot be run here; the text says why."""


def case(function):
    """Makes the function a case, named as it is."""
    _cases.append((function.__name__, function))
    return function


def cases_of(names, make):
    """A case for each name: make(name) is called when it is its turn."""
    for name in names:
        _cases.append((name, lambda name=name: make(name)))


def main():
    """Runs what the command line names, or everything; exit status 1 if a case failed."""
    wanted = sys.argv[1:]
    unknown = set(wanted) - {name for name, _ in _cases}
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; "
                 f"there are: {', '.join(name for name, _ in _cases)}")
    chosen = [item for item in _cases if not wanted or item[0] in wanted]
    print(f"1..{len(chosen)}", flush=True)
    failures = 0
    for number, (name, function) in enumerate(chosen, 1):
        start = time.monotonic()
        word, note = "ok", ""
        try:
            function()
        except Skip as reason:
            note = f" # SKIP {reason}"
        except (Failed, Missing, AssertionError) as problem:
            word, note = "not ok", f" # {problem}"
        except Exception:               # pylint: disable=broad-except
            word, note = "not ok", " # an error of the test itself"
            traceback.print_exc()
        failures += word == "not ok"
        seconds = time.monotonic() - start
        print(f"{word} {number} - {name} ({seconds:.1f} s){note}", flush=True)
    sys.exit(1 if failures else 0)
