#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Branch coverage of xen/ioreq-pci/ and bridge/ under their tests in user space.

    coverage.py [--bar PERCENT] [--show] [OBJECTS]

Compiles both, in a directory of its own (default: a temporary one), with gcov's counters and
without optimisation, runs every test_*.c of tests/hypervisor and tests/unit/bridge, and prints for
each file how many branches were taken of how many there are. Exit status 1 if all together are
below the bar, 95. --show also prints each line with a branch that was never taken.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNIT = ROOT / "tests/unit/bridge"
COMPILER = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O0", "--coverage", "-fno-strict-aliasing"]
HYPERVISOR = ["-D__XEN__", *(f"-I{ROOT / path}" for path in (
    "tests/hypervisor", "tests/hypervisor/include", "xen", "xen/ioreq-pci", "bridge"))]
TOOL = [f"-I{ROOT / 'bridge'}"]


def compile_all(objects, flavour, flags, sources):
    """Compiles the sources; returns the objects."""
    targets = [objects / f"{flavour}-{source.parent.name}-{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda pair: subprocess.run(
            [*COMPILER, *flags, "-c", pair[0], "-o", pair[1]], check=True), zip(sources, targets)))
    return targets


def run_tests(objects, flavour, flags, sources, tests):
    """Links and runs each test with the objects of the sources."""
    own = compile_all(objects, flavour, flags, sources)
    for test in compile_all(objects, flavour, flags, tests):
        program = test.with_suffix("")
        subprocess.run([*COMPILER, test, *own, "-o", program, "-lcmocka", "-lfdt", "-lpthread"], check=True)
        result = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode:
            print(result.stdout + f"{program.name}: failed; what it covers counts all the same")


def read_counters(objects):
    """How often each branch was taken: {file: {(line, number of branch): count}}."""
    counts = collections.defaultdict(collections.Counter)
    data = sorted(objects.glob("*.gcda"))
    output = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", *data],
                            cwd=objects, stdout=subprocess.PIPE, text=True, check=True).stdout
    for unit in map(json.loads, output.splitlines()):
        for file in unit["files"]:
            path = Path(unit["current_working_directory"], file["file"]).resolve()
            if path.is_relative_to(ROOT / "xen") or path.is_relative_to(ROOT / "bridge"):
                for line in file["lines"]:
                    for number, branch in enumerate(line["branches"]):
                        counts[path][line["line_number"], number] += branch["count"]
    return counts


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bar", type=float, default=95)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("objects", nargs="?", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        objects = options.objects or Path(temporary)
        objects.mkdir(parents=True, exist_ok=True)
        for old in objects.glob("*.gc*"):
            old.unlink()
        bridge = sorted((ROOT / "bridge").glob("*.c"))
        run_tests(objects, "xen", HYPERVISOR,
                  [*sorted((ROOT / "xen/ioreq-pci").glob("*.c")), *bridge, HERE / "machine.c",
                   *sorted((HERE / "stubs").glob("*.c"))], sorted(HERE.glob("test_*.c")))
        run_tests(objects, "tool", TOOL, bridge, sorted(UNIT.glob("test_*.c")))
        counts = read_counters(objects)
    total = taken = 0
    for path in sorted(counts):
        branches = counts[path]
        good = sum(count > 0 for count in branches.values())
        total, taken = total + len(branches), taken + good
        print(f"{str(path.relative_to(ROOT)):30} {good:4} of {len(branches):4} branches"
              f" {100 * good / max(1, len(branches)):6.1f} %")
        if options.show:
            text = path.read_text().splitlines()
            for line in sorted({line for (line, _), count in branches.items() if not count}):
                print(f"    {line:4}: {text[line - 1].strip()}")
    percent = 100 * taken / max(1, total)
    print(f"{'all':30} {taken:4} of {total:4} branches {percent:6.1f} %, bar {options.bar:g} %")
    print(f"{'ok' if percent >= options.bar else 'not ok'} 1 - branch coverage of at least {options.bar:g} %")
    return 0 if percent >= options.bar else 1


if __name__ == "__main__":
    sys.exit(main())
