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
output, which ./check counts (the TAP form: "ok N - name", "not ok N - name", "# SKIP why"), in any order: cases run at
once, as far as their boards get processors. The seconds are those without the waiting for these.
"""
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from board import Failed, Processors
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


def _run(number, name, function):
    """One case, and its line; False if it failed."""
    start = time.monotonic() - Processors.waited()
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
    seconds = time.monotonic() - Processors.waited() - start
    print(f"{word} {number} - {name} ({seconds:.1f} s){note}\n", end="", flush=True)
    return word == "ok"


def main(at_once=True):
    """Runs what the command line names, or everything; exit status 1 if a case failed. at_once: cases do not depend on
    each other."""
    wanted = sys.argv[1:]
    unknown = set(wanted) - {name for name, _ in _cases}
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; "
                 f"there are: {', '.join(name for name, _ in _cases)}")
    chosen = [item for item in _cases if not wanted or item[0] in wanted]
    print(f"1..{len(chosen)}", flush=True)
    pool = ThreadPoolExecutor(max_workers=len(chosen) if at_once else 1)    # pylint: disable=consider-using-with
    try:
        results = list(pool.map(lambda item: _run(item[0], *item[1]), enumerate(chosen, 1)))
    except KeyboardInterrupt:
        os._exit(130)               # boards end with this process; threads would wait for them
    sys.exit(0 if all(results) else 1)
