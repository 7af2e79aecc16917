#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that gives memory back to Xen and takes other memory (ballooning, which needs xen,enhanced) while its disk
works: what the device model has mapped is then not the guest's any more.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import case, main
from scene import ANY_FAILED, binding, empty_disk, ended, healthy, kernel, require_file

ENHANCED = 'xen,enhanced = "no-xenstore";'


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


if __name__ == "__main__":
    main()
