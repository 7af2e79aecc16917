#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIGTERM to the device model while the guest's CPUs read the disk and its configuration space:
the device model ends, no vCPU is left waiting for it, and the bus is empty from then on.
The guest's requests may fail or stay unanswered; that is another story than its CPUs.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import cases_of, main
from scene import ANY_FAILED, FAULTS, binding, ended, kernel, random_disk

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
    console.forbid(FAULTS)
    console.forbid(r"dom1: .*(rcu.*stall|soft lockup|Oops|Internal error|[Ss]ynchronous [Ee]xternal|SError)")


cases_of(COMBINATIONS, stopped)
if __name__ == "__main__":
    main()
