#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plain ranges (xen,ioreq-mmio), which the user himself describes to the guest: virtio,mmio nodes in
a partial device tree, for which the device model has the virtio-mmio transport.

A guest that boots first is held at its first touch, and finds its disk; without HOLD it finds all
ones and goes on; several devices share a page, and a PCI host bridge is beside them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import case, cases_of, main
from scene import (ANY_FAILED, binding, ended, healthy, kernel, partial_tree, plain_ranges, random_disk,
                   require_checksum, require_interrupts, require_unseen_hold)

BASE = 0x50000000       # right above a guest's 256 MiB of RAM

# GIC, kernel of the guest.
COMBINATIONS = {
    "held_gic3_6.1": (3, "6.1"),
    "held_gic2_6.12": (2, "6.12"),
}


def held(name):
    """The device model starts five seconds after dom0; nobody binds the driver anew."""
    gic, version = COMBINATIONS[name]
    guest = Domain(kernel=kernel(version), run="show-disk",
                   properties=plain_ranges(BASE), partial=partial_tree((BASE, 100)))
    console = Board(f"user-binding-{name}", [guest], counted=True, gic=gic, dom0_run="serve",
                    dom0_words="sb.delay=5", disks={"disk": random_disk(16)}).run(
        until=[ended(1, "show-disk")], unless=[ANY_FAILED])
    console.require_order("dom1: sb: guest userspace", "dom0: sb: dom0 device model starts",
                          "dom1: .*virtio_blk virtio0", "dom1: sb: guest run show-disk")
    console.forbid("xen: .*no device model")
    console.forbid("dom1: .*Wrong magic value")
    healthy(console, "dom1")
    require_unseen_hold(console, "dom1", 5, before="sb: guest userspace")
    require_checksum(console, "dom1", random_disk(16))
    require_interrupts(console, "dom1", "intx")


cases_of(COMBINATIONS, held)


@case
def background_then_a_device():
    """Nobody is there, nor is the guest held: its driver finds no device and says so. When there is
    one, it binds. Both ranges of the binding answer."""
    guest = Domain(run="read-ranges", words=f"iomem=relaxed sb.ranges={BASE:#x},0x60000000",
                   properties=plain_ranges(BASE, 0x60000000, hold_ms=0),
                   partial=partial_tree((BASE, 100)))
    console = Board("user-binding-background", [guest], counted=True, dom0_run="serve",
                    dom0_words="sb.delay=40", disks={"disk": random_disk(16)}).run(
        until=[ended(1, "read-ranges")], unless=[ANY_FAILED])
    console.require_order("dom1: .*virtio-mmio 50000000.virtio: Wrong magic value 0xffffffff",
                          "dom1: sb: guest has read the ranges, 0 wrong",
                          "dom0: sb: dom0 device model starts",
                          "dom1: sb: guest sees the device", "dom1: .*virtio_blk virtio0")
    console.forbid("xen: .*no device model after")
    healthy(console, "dom1")
    require_checksum(console, "dom1", random_disk(16))
    require_interrupts(console, "dom1", "intx")


@case
def two_in_a_page_beside_a_bridge():
    """Bridge 0 is a PCI host bridge, 1 has two devices, and a third node for which there is none."""
    disks = {name: random_disk(16, name) for name in ("pci", "one", "two")}
    guest = Domain(run="show-disks", properties=binding() + plain_ranges(BASE, interrupts=(100, 3)),
                   partial=partial_tree(*((BASE + n * 0x200, 100 + n) for n in range(3))))
    console = Board("user-binding-beside", [guest], counted=True, dom0_run="serve", disks=disks,
                    dom0_words="sb.serve=1:pci,1:one:--bridge:1:--blk:/dev/disk/two").run(
        until=[ended(1, "show-disks")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.forbid("dom1: .*virtio-mmio .*:")
    for name, disk in disks.items():
        require_checksum(console, "dom1", disk, name)
    for interrupt in (100, 101):
        console.require(rf"dom1: .* {interrupt} Level +virtio\d")


if __name__ == "__main__":
    main()
