#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two guests at once, each with its bridge and its own device model: neither sees anything of
the other. Their bridges have other addresses, interrupts and names of the property.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import case, main
from scene import (ANY_FAILED, OTHER_NAME, binding, ended, healthy, kernel, random_disk,
                   require_checksum, require_interrupts)


@case
def each_reads_its_own():
    """Both disks' checksums, one with MSI-X and one with INTx."""
    disks = {"one": random_disk(32, "one"), "two": random_disk(48, "two")}
    other = binding(OTHER_NAME, ecam=(0x11000000, 0x200000), memory=(0x30000000, 0x800000),
                    prefetch=(0, 0), interrupts=(100, 6))
    guests = [Domain(run="show-disk", cpus=2, properties=binding()),
              Domain(kernel=kernel("6.12"), run="show-disk", properties=other)]
    console = Board("two-guests", guests, dom0_run="serve",
                    dom0_words="sb.serve=1:one,2:two:--no-msix", disks=disks).run(
        until=[ended(1, "show-disk"), ended(2, "show-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1", "dom2")
    require_checksum(console, "dom1", disks["one"])
    require_checksum(console, "dom2", disks["two"])
    require_interrupts(console, "dom1", "msix")
    require_interrupts(console, "dom2", "intx")


if __name__ == "__main__":
    main()
