#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bridge with GRANTS and a guest that knows them (CONFIG_XEN_VIRTIO): it grants each buffer to its device model's
domain for as long as a request lasts. The device model in dom0 reaches what was granted, and no other page of the
guest: it maps the rings, and buffers are copied.
"""
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import case, main
from scene import (ANY_FAILED, GRANTS, HOLD, binding, checksum, ended, healthy, most_mapped, random_disk,
                   require_checksum)

KERNEL = "6.1-grants"
MIB = 1 << 20
RINGS_KIB = 64              # of one disk
IOREQ_PAGE_KIB = 4          # all that privcmd maps for the device model when it is not guest memory

ENHANCED = 'xen,enhanced = "no-xenstore";'
# The same bridge as binding()'s, whose back end is said to be another domain than the one that serves it.
OTHER_BACKEND = """
    pcie@10000000 {
        compatible = "xen,ioreq-pci-host-bridge";
        reg = <0 0x10000000 0 0x100000>, <0 0x23000000 0 0x1000000>;
        reg-names = "ecam", "memory";
        xen,irqs = <44 12>;
        xen,hold-ms = <30000>;
        xen,grants;
        xen,backend = <5>;
    };"""


def rewrite(name, guest, **board):
    """The guest reads the disk and writes to it; a copy of it, since it is then no more what it was."""
    disk = BUILD / "board" / f"{name}.img"
    shutil.copy(random_disk(16), disk)
    console = Board(name, [guest], dom0_run="serve-and-show-maps", disks={"disk": disk}, **board).run(
        until=[ended(1, "rewrite-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.forbid(r"dom1: .*[Gg]rant still in use")
    require_checksum(console, "dom1", random_disk(16))
    wrote = console.require(r"dom1: sb: guest wrote sha256 (\w+)")[1]
    with open(disk, "r+b") as file:
        file.truncate(8 * MIB)
    if checksum(disk) != wrote:
        raise Failed(f"what the guest wrote is not what {disk} begins with (console: {console.log})")
    return most_mapped(console)


@case
def reads_and_writes_by_grants():
    """Nothing of the guest is mapped but by grants."""
    guest = Domain(kernel=KERNEL, cpus=2, run="rewrite-disk", properties=ENHANCED + binding(flags=GRANTS | HOLD))
    privcmd, gntdev = rewrite("grants", guest)
    if privcmd != IOREQ_PAGE_KIB or not 0 < gntdev <= RINGS_KIB:
        raise Failed(f"the device model maps {privcmd} KiB by privcmd, {gntdev} KiB by gntdev")


@case
def without_the_flag():
    """The same kernel and domain: addresses are physical, and the guest's memory is mapped in large pieces."""
    guest = Domain(kernel=KERNEL, run="rewrite-disk", properties=ENHANCED + binding(flags=HOLD))
    privcmd, gntdev = rewrite("no-grants", guest, gic=2)
    if privcmd < 2 * MIB // 1024 or gntdev:
        raise Failed(f"the device model maps {privcmd} KiB by privcmd, {gntdev} KiB by gntdev")


def refused(name, guest, stop):
    """The device model maps nothing, says NEEDS_RESET, and goes on until it is stopped."""
    console = Board(name, [guest], dom0_run="serve-and-show-maps", dom0_words=f"sb.stop={stop}",
                    disks={"disk": random_disk(16)}).run(
        until=[ended(0, "serve-and-show-maps")], unless=["dom0: sb: dom0 end .* status [1-9]"])
    console.require("dom0: /dev/disk/disk: requests without an answer: 0, gave up: 1")
    if most_mapped(console) != (IOREQ_PAGE_KIB, 0):
        raise Failed(f"the device model maps something (console: {console.log})")


@case
def granted_to_another_domain():
    """xen,backend is not dom0, so that dom0's device model can map nothing."""
    refused("grants-backend", Domain(kernel=KERNEL, properties=ENHANCED + OTHER_BACKEND), 20)


@case
def stock_kernel():
    """Debian's kernel, without CONFIG_XEN_VIRTIO, waits for a driver of the translation, in vain, and then gives
    physical addresses: these are not mapped either."""
    refused("grants-stock", Domain(properties=ENHANCED + binding(flags=GRANTS | HOLD)), 60)


if __name__ == "__main__":
    main()
