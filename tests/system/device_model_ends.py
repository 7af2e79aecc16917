#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The device model ends while the guest's CPUs read the disk and its configuration space.

SIGTERM: it ends, no vCPU is left waiting for it, and the bus is empty from then on. The guest's requests may fail or
stay unanswered; that is another story than its CPUs. SIGKILL, time and again: what waited is answered, and the next
device model serves.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, cases_of, main
from scene import ANY_FAILED, FAULTS, binding, ended, kernel, random_disk

RESIDENT_KIB = 8 * 1024     # beyond guest memory, which Linux does not count: it is mapped by frame

COMBINATIONS = {
    "gic3_msix_2cpus_6.1": (3, "", 2, "6.1"),
    "gic2_intx_1cpu_6.12": (2, "--no-msix", 1, "6.12"),
}


def stopped(name):
    """In the middle of the first 256 MiB."""
    gic, options, cpus, version = COMBINATIONS[name]
    guest = Domain(kernel=kernel(version), cpus=cpus, run="read-until-gone", properties=binding())
    console = Board(f"ends-{name}", [guest], gic=gic, dom0_run="serve-and-stop",
                    dom0_words=f"sb.sectors=16384 sb.options={options}",
                    disks={"disk": random_disk(256)}).run(
        until=[ended(0, "serve-and-stop"), ended(1, "read-until-gone")], unless=[ANY_FAILED])
    console.require_order("dom1: sb: guest reads, vendor 1af4", "dom0: sb: dom0 stops the device model",
                          "dom1: sb: guest sees vendor ffff", "dom1: sb: guest alive 5")
    resident = int(console.require(r"dom0: sb: dom0 device model resident (\d+) kB")[1])
    if resident > RESIDENT_KIB:
        raise Failed(f"the device model's resident size is {resident} KiB, more than {RESIDENT_KIB}")
    survives(console)


def survives(console):
    """Nobody crashed, and no CPU was stuck."""
    console.forbid(FAULTS)
    console.forbid(r"dom1: .*(rcu.*stall|soft lockup|Oops|Internal error|[Ss]ynchronous [Ee]xternal|SError)")


@case
def killed_100_times():
    """Both CPUs of the guest read configuration space meanwhile."""
    guest = Domain(cpus=2, run="keep-reading", properties=binding())
    console = Board("ends-killed", [guest], dom0_run="serve-and-die", dom0_words="sb.kills=100",
                    disks={"disk": random_disk(16)}).run(until=[ended(0, "serve-and-die")], unless=[ANY_FAILED])
    said = [str(line) for line in console.lines]
    after = said[said.index("dom0: sb: dom0 killed it 100 times"):]
    for cpu in (0, 1):
        if after.count(f"dom1: sb: guest processor {cpu} alive, vendor 1af4") < 2:
            raise Failed(f"processor {cpu} of the guest does not see the last device model")
    console.forbid(r"xen: .*ioreq server .* destroyed")
    survives(console)


cases_of(COMBINATIONS, stopped)
if __name__ == "__main__":
    main()
