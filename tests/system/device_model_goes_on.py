#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A device model that keeps its state is killed time and again, 100 times in all, while the guest writes into a file
system and reads back what it has written: the guest notices nothing, and nothing is lost.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import cases_of, main
from scene import (ANY_FAILED, RING_PACKED, binding, empty_disk, ended, healthy, kernel, require_feature, require_file,
                   require_interrupts)

CASES = {
    "gic3_msix_2cpus_6.1": (3, "", "", 2, "6.1", "msix"),
    "gic2_intx_1cpu_6.12": (2, "--no-msix", "", 1, "6.12", "intx"),
    "gic3_packed_2cpus_6.12": (3, "", ",packed", 2, "6.12", "msix"),
}


def killed(name, kills, timeout=400):
    """So many times: clean on the host, and the file is as the guest wrote it."""
    gic, options, disk_options, cpus, version, interrupts = CASES[name]
    guest = Domain(kernel=kernel(version), cpus=cpus, run="keep-writing", properties=binding())
    board = f"goes-on-{name}-{kills}"
    disk = empty_disk(256, board)
    words = f"sb.kills={kills} sb.options={options} sb.disk={disk_options}"
    console = Board(board, [guest], gic=gic, dom0_run="serve-on", dom0_words=words, dom0_kernel=kernel(version),
                    timeout=timeout, disks={"disk": disk, "mailbox": empty_disk(1, f"{board}-mailbox")}).run(
        until=[ended(1, "keep-writing")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require_order("dom1: sb: guest writes", f"dom0: sb: dom0 killed it {kills} times",
                          "dom1: sb: guest has written")
    require_interrupts(console, "dom1", interrupts)
    require_feature(console, "dom1", RING_PACKED, disk_options == ",packed")
    require_file(console, "dom1", disk)


if __name__ == "__main__":
    cases_of(CASES, lambda name: killed(name, 50))
    main()
