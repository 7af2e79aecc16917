#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The conformance test: a guest without an operating system (tests/guest) tries every kind of access on all of
a bridge, and judges for itself. It prints TAP; a case here is one boot of it, and fails with the guest's lines.

nobody: no device model and no HOLD. served: the guest waits at the status page. held: it touches the bridge before
there is a device model. It has one vCPU, and time is a count of instructions.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import cases_of, main
from scene import ANY_SCRIPT_FAILED, BARE_GUEST, HOLD, OTHER_NAME, PROPERTY, binding, random_disk, require_tap

HELD_DELAY = 5  # seconds of dom0's time before its device model starts, when the guest is to be parked

# The third has configuration space above 4 GiB, the smallest memory window, and neither frame nor prefetchable window.
COMBINATIONS = {
    "nobody_gic3": (3, "nobody", "", binding(flags=0)),
    "served_msix_gic2": (2, "served", "1:disk", binding(flags=HOLD)),
    "held_intx_gic3": (3, "held", "1:disk:--no-msix", binding(
        OTHER_NAME, ecam=(0x3000000000, 0x200000), memory=(0x24000000, 0x100000), prefetch=(0, 0),
        interrupts=(100, 4))),
    # Where the first patches for Xen had them.
    "nobody_high_gic2": (2, "nobody", "", binding(
        PROPERTY, ecam=(0xf100000000, 0x10000000), memory=(0xf110000000, 0x2000000),
        prefetch=(0xf000000000, 0x100000000), flags=0)),
}


def conforms(name):
    """One boot."""
    gic, expect, serve, properties = COMBINATIONS[name]
    guest = Domain(image=BARE_GUEST, memory_mib=32, words=f"sb.expect={expect}", properties=properties)
    delay = HELD_DELAY if expect == "held" else 0
    words = {"dom0_run": "serve", "dom0_words": f"sb.delay={delay} sb.serve={serve}"} if serve else {}
    disks = {"disk": random_disk(16, "conformance")} if serve else {}
    console = Board(f"conformance-{name}", [guest], counted=True, gic=gic, disks=disks, timeout=900,
                         **words).run(until=[r"dom1: sb: guest end conformance status \d"],
                                      unless=[ANY_SCRIPT_FAILED])
    require_tap(console, "dom1")
    if serve:
        console.require(r"dom1: # function .* vendor 0x1af4 device 0x1042")
        console.require(r"dom1: ok \d+ - virtio: ")
    console.require(r"dom1: sb: guest end conformance status 0")


cases_of(COMBINATIONS, conforms)
if __name__ == "__main__":
    main()
