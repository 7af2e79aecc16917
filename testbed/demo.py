#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows it: a stock Linux guest, started by Xen itself, finds its virtio disk behind the
second PCI host bridge.

    ./demo              6.1 kernels, GICv3
    ./demo --kernel 6.12 --gic 2

Builds what is missing, boots Xen, dom0 and the guest on an emulated board, prints each
stage with its duration, then what the guest says about itself, and compares the disk's
checksum in the guest with the host's. Exit status 0 if they are equal.
"""
import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from board import Board, Domain, Failed, VERSION
from initramfs import Missing
from scene import ANY_FAILED, binding, checksum, ended, random_disk

ROOT = Path(__file__).resolve().parents[1]

STAGES = [
    ("the board is on, Xen runs", r"xen: .*Xen version"),
    ("Xen has made the guest and its bridge", r"xen: Scrubbing Free RAM"),
    ("guest has met its bridge", r"dom1: .*PCI host bridge to bus"),
    ("dom0 in user space, waits two seconds", r"dom0: sb: dom0 userspace"),
    ("device model starts", r"dom0: sb: dom0 device model starts"),
    ("guest has found its disk", r"dom1: .*\[vda\]"),
    ("guest in user space", r"dom1: sb: guest run show-disk"),
    ("guest has read its disk", r"dom1: sb: guest sha256"),
]


def run_step(name, command):
    """A build step with its duration; ends the demo if it fails."""
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    print(f"{name:40} {time.monotonic() - start:6.1f} s", flush=True)


class Stages:
    """Prints a stage when the console shows that it is reached."""

    def __init__(self):
        self.waiting = [(label, re.compile(pattern)) for label, pattern in STAGES]
        self.before = 0.0

    def __call__(self, line):
        for item in self.waiting:
            if item[1].search(str(line)):
                print(f"{item[0]:40} {line.seconds - self.before:6.1f} s", flush=True)
                self.before = line.seconds
                self.waiting.remove(item)
                return


def show_guest(console):
    """The guest's own words: what it printed after it was in user space."""
    print("\nThe guest says:")
    talking = False
    for line in console.lines:
        if line.who == "dom1" and talking:
            print(f"    {line.text}")
        talking |= line.who == "dom1" and "sb: guest userspace" in line.text


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.1", help="of dom0 and guest (default: 6.1)")
    parser.add_argument("--version", action="version", version=f"sidebridge demo {VERSION}")
    parser.add_argument("--gic", type=int, choices=(2, 3), default=3)
    options = parser.parse_args()

    print("-- what is built and fetched")
    if subprocess.run([ROOT / "testbed/setup"], check=False).returncode:
        sys.exit(1)
    run_step("device model for arm64", ["testbed/build-arm64"])

    print("\n-- the board: what is ours in the host device tree is this line of the guest's node\n")
    print(f"    {binding()}\n")
    disk = random_disk(16, "demo")
    board = Board("demo", [Domain(kernel=options.kernel, run="show-disk", properties=binding())],
                  gic=options.gic, dom0_kernel=options.kernel, dom0_run="serve",
                  dom0_words="sb.delay=2", disks={"disk": disk})
    try:
        console = board.run([ended(1, "show-disk")], follow=Stages(), unless=[ANY_FAILED])
        show_guest(console)
        seen = console.require(r"dom1: sb: guest sha256 (\w+)")[1]
    except (Failed, Missing) as problem:
        show_guest(board.console)
        sys.exit(f"demo: {problem}")
    expected = checksum(disk)
    print(f"\nThe host's sha256 of the same disk: {expected}: "
          f"{'equal' if seen == expected else 'DIFFERENT'}")
    print(f"The whole console is in {console.log}")
    return 0 if seen == expected else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
