#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a disk stands on: a guest discards, zeroes, flushes and sees its disks grow, on files of two
file systems and on block devices. One boot for each of dom0's kernels: 6.1 cannot discard on a
block device.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import cases_of, main
from scene import ended, kernel, binding

KERNELS = {"storage_6_12": "6.12", "storage_6_1": "6.1"}
LOST = r"sidebridge-dm: /dev/loop1: not all that the guest has written is on stable storage"


def storage(name):
    """Both ends tell what they saw."""
    version = kernel(KERNELS[name])
    discards = {"file": True, "loop": version == "6.12", "ram": False}
    guest = Domain(kernel=kernel("6.12"), run="use-storage", properties=binding())
    console = Board(name.replace("_", "-"), [guest], counted=8, dom0_kernel=version, dom0_modules=["loop"],
                    dom0_run="serve-storage").run(
        until=[ended(0, "serve-storage"), ended(1, "use-storage")],
        unless=[r"dom\d+: sb: \w+ end \S+ status [1-9]", "sb: dom0 .* is not clean"])
    console.require("dom0: sidebridge-dm: /dev/loop2: in use on this host: ")
    console.require("dom0: sb: dom0 mounted disk refused with 1")
    for disk, can in discards.items():
        said = console.require(rf"dom1: sb: guest {disk} discards (\d+) zeroes (\d+)")
        if (said[1] != "0") != can or said[2] == "0":
            raise Failed(f"{said.string!r}: should it discard? {can} (console: {console.log})")
    # The first fails when the storage is full; nothing is wrong with the second, but data are lost.
    console.require("dom1: sb: guest flushes 1 1, after a reset 0")
    console.require("dom0: sb: dom0 device model ended with 1")
    console.require(f"dom0: {LOST}")
    takes = console.require(r"dom0: sb: dom0 file takes (\d+) KiB, loop (\d+) KiB")
    for disk, kib in (("file", int(takes[1])), ("loop", int(takes[2]))):
        if (kib < 6 * 1024) != discards[disk]:
            raise Failed(f"{disk} takes {kib} KiB of 8 MiB: {takes.string!r} (console: {console.log})")


cases_of(KERNELS, storage)
if __name__ == "__main__":
    main()
