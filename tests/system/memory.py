#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that gives memory back to Xen and takes other memory (ballooning, which needs xen,enhanced) while its disk
works: what the device model has mapped is then not the guest's any more.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import (ANY_FAILED, binding, checksum, empty_disk, ended, healthy, kernel, most_mapped, random_disk,
                   require_file)

ENHANCED = 'xen,enhanced = "no-xenstore";'
LIMIT_KIB = 32 << 10        # the device model's default where less than 128 MiB are free in dom0
IOREQ_PAGE_KIB = 4


@case
def exchanged():
    """The file is as the guest wrote it, and its file system clean."""
    version = kernel("6.12")
    guest = Domain(kernel=version, memory_mib=192, run="balloon-and-write", words="sb.balloon=64",
                   properties=ENHANCED + binding())
    disk = empty_disk(256, "memory-exchanged")
    console = Board("memory-exchanged", [guest], dom0_kernel=version, dom0_run="serve", disks={"disk": disk},
                    counted=True).run(until=[ended(1, "balloon-and-write")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_file(console, "dom1", disk)


@case
def guest_larger_than_dom0():
    """All of the guest's memory is used for its disk, and dom0, from whose memory each page that is mapped is taken
    with this kernel, never has more than the limit mapped."""
    guest = Domain(memory_mib=192, run="fill-memory", properties=binding())
    disk = random_disk(128)
    console = Board("memory-larger", [guest], dom0_mib=160, dom0_run="serve-and-show-maps", disks={"disk": disk},
                    counted=True).run(until=[ended(1, "fill-memory")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    seen, expected = console.require(r"dom1: sb: guest md5 (\w+)")[1], checksum(disk, "md5")
    if seen != expected:
        raise Failed(f"the guest read a disk with md5 {seen}, not {expected} (console: {console.log})")
    privcmd, _ = most_mapped(console)
    if not LIMIT_KIB // 2 < privcmd <= LIMIT_KIB + IOREQ_PAGE_KIB:
        raise Failed(f"the device model maps {privcmd} KiB of the guest (console: {console.log})")


if __name__ == "__main__":
    main()
