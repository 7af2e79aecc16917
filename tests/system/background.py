#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Without HOLD and without a device model: the guest boots, its bus is empty, and no access to
it faults. A device model that comes later is found by a rescan. The service area answers all
the time; its status page tells the guest when to rescan.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import cases_of, main
from scene import (ANY_FAILED, OTHER_NAME, PROPERTY, binding, ended, healthy, kernel, random_disk,
                   require_checksum, require_interrupts)

COMBINATIONS = {
    "gic3_msix_1cpu_6.1": (3, "msix", 1, "6.1", PROPERTY),
    "gic2_intx_1cpu_6.12": (2, "intx", 1, "6.12", OTHER_NAME),
}


def found_by_rescan(name):
    """The guest reads and writes all windows, waits for the status page, and rescans."""
    gic, interrupts, cpus, version, name_of_property = COMBINATIONS[name]
    guest = Domain(kernel=kernel(version), cpus=cpus, run="read-windows",
                   words="iomem=relaxed sb.ecam=0x10000000 sb.memory=0x23000000 "
                         "sb.prefetch=0x100000000 sb.v2m=0x23fe0000 sb.status=0x23ff0000 sb.flags=0",
                   properties=binding(name_of_property, flags=0))
    serve = "1:disk:--no-msix" if interrupts == "intx" else "1:disk"
    console = Board(f"background-{name}", [guest], counted=True, gic=gic, dom0_run="serve",
                    dom0_words=f"sb.delay=40 sb.serve={serve}",
                    disks={"disk": random_disk(16)}).run(
        until=[ended(1, "read-windows")], unless=[ANY_FAILED])
    console.require_order("dom1: sb: guest has read the windows, 0 wrong",
                          "dom0: sb: dom0 device model starts",
                          "dom1: sb: guest sees the bus ready", "dom1: .*virtio_blk")
    healthy(console, "dom1")
    require_checksum(console, "dom1", random_disk(16))
    require_interrupts(console, "dom1", interrupts)


cases_of(COMBINATIONS, found_by_rescan)
if __name__ == "__main__":
    main()
