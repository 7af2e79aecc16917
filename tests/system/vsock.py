#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sockets between programs of the guest and of dom0: with Debian's driver, both ways, beside a disk."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain
from cases import cases_of, main
from scene import ANY_FAILED, binding, ended, healthy, kernel, random_disk, require_checksum, require_interrupts

CASES = {"gic2_intx_linux_6.1": (2, "6.1", "--no-msix")}
PROGRAM = (BUILD / "arm64/tests/system/sb-vsock", "bin/sb-vsock")


def talks_both_ways(name):
    """4 MiB each way come back as they were; a port that nobody serves refuses; the device model is in its sandbox."""
    gic, version, options = CASES[name]
    guest = Domain(kernel=kernel(version), run="use-sockets", properties=binding(), add=[PROGRAM],
                   modules=["vmw_vsock_virtio_transport"])
    disk = random_disk(16)
    console = Board(f"vsock-{name}", [guest], gic=gic, dom0_run="serve-sockets", dom0_add=[PROGRAM],
                    dom0_words=f"sb.options={options}" if options else "", disks={"disk": disk}).run(
        until=[ended(1, "use-sockets"), ended(0, "serve-sockets")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_checksum(console, "dom1", disk)
    require_interrupts(console, "dom1", "msix" if "msix" in name else "intx")
    console.forbid("the sandbox lacks")
    for line in ("dom1: sb: guest got back from dom0 what it sent", "dom1: sb: guest sent back what dom0 sent",
                 "dom0: sb: dom0 sent back what the guest sent", "dom0: sb: dom0 got back from the guest what it sent"):
        console.require(f"{line}: well")


cases_of(CASES, talks_both_ways)
if __name__ == "__main__":
    main()
