#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The base that every other system test stands on: Xen, dom0 and a guest without any
bridge reach user space, on GICv2 and GICv3, with each of Debian's kernels.

A failure here means the board or the hypervisor is broken, not the bridge.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain
from cases import Skip, cases_of, main

COMBINATIONS = {f"gic{gic}_linux_{kernel}": (gic, kernel)
                for gic in (2, 3) for kernel in ("6.1", "6.12")}


def boots(name):
    """dom0 and one guest of the same kernel are in user space, and the guest sees its CPUs."""
    gic, kernel = COMBINATIONS[name]
    if not (BUILD / "kernel" / kernel).is_dir():
        raise Skip(f"Debian's kernel {kernel} could not be had")
    guest = Domain(kernel=kernel, cpus=2)
    console = Board(f"base-{name}", [guest], gic=gic, dom0_kernel=kernel).run(
        until=["dom0: sb: dom0 idle", "dom1: sb: guest idle"])
    console.require(r"dom1: .*SMP: Total of 2 processors activated")


cases_of(COMBINATIONS, boots)
if __name__ == "__main__":
    main()
