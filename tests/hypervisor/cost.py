#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Instructions of one configuration access in the dispatcher, by the number of claimed functions.

Counted by callgrind, from the entry of ioreq_pci_access() until it returns, compiled -O2 for this
machine: "own" are those of xen/ioreq-pci/ and bridge/, "all" include the stubs of what they call.
Exit status 1 if own or all with 256 functions are more than 10 % off those with one.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ACCESSES = 1000
OWN = ("/xen/ioreq-pci/", "/bridge/")


def build(program):
    """The program, without sanitizers whatever the rest is built with."""
    includes = [f"-I{ROOT / path}" for path in
                ("tests/hypervisor", "tests/hypervisor/include", "xen", "xen/ioreq-pci", "bridge")]
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-D__XEN__", "-O2", "-g", "-fno-strict-aliasing",
                    *includes, *ROOT.glob("xen/ioreq-pci/*.c"), *ROOT.glob("bridge/*.c"),
                    *HERE.glob("stubs/*.c"), HERE / "machine.c", HERE / "cost.c", "-o", program,
                    "-lfdt", "-lpthread"], check=True)


def count(program, functions, bridges):
    """(own, all) instructions of an access."""
    output = Path(program).parent / "callgrind.out"
    subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=ioreq_pci_access",
                    f"--callgrind-out-file={output}", "--compress-pos=no",
                    program, str(functions), str(bridges), str(ACCESSES)], check=True, capture_output=True)
    names, file, called, own, total = {}, "", False, 0, 0
    for line in output.read_text().splitlines():
        place = re.match(r"(fl|fi|fe)=\((\d+)\)(?: (.*))?$", line)
        cost = re.match(r"\d+ (\d+)$", line)
        if place:
            if place[3]:
                names[place[2]] = place[3]
            file = names[place[2]]
        elif line.startswith(("cfl=", "cfi=")):
            name = re.match(r"cf[il]=\((\d+)\)(?: (.*))?$", line)
            if name[2]:
                names[name[1]] = name[2]
        elif line.startswith("calls="):
            called = True
        elif cost and called:
            called = False         # the cost of what was called is counted where it is
        elif cost:
            total += int(cost[1])
            if any(part in file for part in OWN):
                own += int(cost[1])
    return own / ACCESSES, total / ACCESSES


def main():
    """Compares."""
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/cost"
        build(program)
        results = {(functions, bridges): count(program, functions, bridges)
                   for bridges in (1, 2) for functions in (1, 256)}
    print("functions bridges   own   all    (instructions of one access)")
    for (functions, bridges), (own, total) in results.items():
        print(f"{functions:9} {bridges:7} {own:5.0f} {total:5.0f}")
    good = all(few > 0 and abs(many - few) <= few / 10
               for bridges in (1, 2) for few, many in zip(results[1, bridges], results[256, bridges]))
    print(f"{'ok' if good else 'not ok'} 1 - an access costs the same with 1 and with 256 functions")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
