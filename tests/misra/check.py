#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""MISRA C over xen/ioreq-pci/ and bridge/, as they are compiled into the hypervisor.

Runs cppcheck's add-on with the headers of tests/hypervisor/include in place of Xen's, keeps what is
in our own files and in the list of rules (./rules), and takes off the deviations (./deviations).
The add-on knows numbers, not the rules' texts. Rule 7.3 is looked for here too, since cppcheck 2.10
overlooks hexadecimal constants. Exit status 1 if anything is left.
"""
import collections
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OWN = ("xen/ioreq-pci", "xen/asm", "bridge")


def read_rules():
    """(the rules that are to be kept, the rules that are only counted)."""
    lines = [line for line in (HERE / "rules").read_text().splitlines() if not line.startswith("#")]
    counted = [line for line in lines if line.startswith("aspirational:")]
    return ({rule for line in lines if line not in counted for rule in line.split()},
            {rule for line in counted for rule in line.split()[1:]})


def read_deviations():
    """[(rule, file, text, reason)]"""
    return [tuple(part.strip() for part in line.split("|"))
            for line in (HERE / "deviations").read_text().splitlines() if line and not line.startswith("#")]


def analyse(source):
    """What cppcheck reports of one file: {(rule, file, line)}; ends the program if it cannot read it."""
    with tempfile.TemporaryDirectory() as directory:    # the add-on's dump must not be beside the source
        copy = Path(directory, source.name)
        copy.write_text(source.read_text())
        output = subprocess.run(
            ["cppcheck", "--addon=misra", "--quiet", "--enable=style", "--std=c11", "--platform=unix64",
             "--template={id} {file}:{line} {message}", "-D__XEN__=1", "-DCONFIG_IOREQ_PCI=1",
             "-DHYPERVISOR_SIMPLE_MACROS",
             *(f"-I{ROOT / path}" for path in ("tests/hypervisor/include", "xen", "xen/ioreq-pci", "bridge")),
             str(copy)], capture_output=True, text=True, check=True).stderr
    found = set()
    for line in output.splitlines():
        match = re.match(r"misra-c2012-([\d.]+) (.*):(\d+) ", line)
        if match:
            path = source if match[2] == str(copy) else Path(match[2]).resolve()
            if path.is_relative_to(ROOT):
                found.add((match[1], str(path.relative_to(ROOT)), int(match[3])))
        elif re.match(r"(syntaxError|internal|preprocessorErrorDirective|unknownMacro)", line):
            sys.exit(f"not ok 1 - cppcheck cannot read {source}: {line}")
    return found


def main():
    """Judges."""
    rules, counted = read_rules()
    deviations = read_deviations()
    sources = [path for own in OWN for path in sorted((ROOT / own).glob("*.[ch]"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = set().union(*pool.map(analyse, (path for path in sources if path.suffix == ".c")))
    found = {(rule, file, line) for rule, file, line in found if file.startswith(OWN)}
    for path in sources:
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\b(0[xX][\da-fA-F]+|\d+)[uU]?l", re.sub(r'"[^"]*"', "", text)):
                found.add(("7.3", str(path.relative_to(ROOT)), number))
    used, left = collections.Counter(), 0
    for rule, file, line in sorted(found, key=lambda item: (item[1], item[2], item[0])):
        if rule in rules:
            text = (ROOT / file).read_text().splitlines()[line - 1].strip()
            fitting = [deviation for deviation in deviations
                       if deviation[:2] == (rule, file) and text.startswith(deviation[2])]
            used.update(fitting)
            if not fitting:
                left += 1
                print(f"{file}:{line}: rule {rule}: {text}")
    for deviation in deviations:
        if not used[deviation]:
            left += 1
            print(f"tests/misra/deviations: matches nothing: {' | '.join(deviation[:3])}")
    for rule in sorted(counted):
        print(f"# rule {rule}, aspirational: {sum(item[0] == rule for item in found)} places")
    print(f"# {len(rules)} rules, {len(sources)} files, {len(deviations)} deviations")
    print(f"{'not ok' if left else 'ok'} 1 - MISRA C rules that Xen has accepted")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
