#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Random numbers: Debian's virtio_rng gets them beside a disk, by MSI-X and by INTx, and not faster than it is to."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import cases_of, main
from scene import ANY_FAILED, binding, ended, healthy, kernel, random_disk, require_checksum, require_interrupts

CASES = {"gic3_msix_linux_6.12": (3, "6.12", "1:disk:--rng")}
BYTES, RATE, BURST = 64 << 10, 64 << 10, 8 << 10


def gets_random_numbers(name):
    """What /dev/hwrng gives cannot be packed, does not repeat, and comes at the rate that is the default."""
    gic, version, serve = CASES[name]
    guest = Domain(kernel=kernel(version), run="use-random", properties=binding(), modules=["virtio-rng"])
    disk = random_disk(16)
    console = Board(f"rng-{name}", [guest], gic=gic, dom0_run="serve", dom0_words=f"sb.serve={serve}",
                    disks={"disk": disk}).run(until=[ended(1, "use-random")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_checksum(console, "dom1", disk)
    require_interrupts(console, "dom1", "msix" if "msix" in name else "intx")
    console.require(r"dom1: sb: guest random numbers come from virtio_rng\.0")
    got = console.require(r"dom1: sb: guest got (\d+) random bytes from (\S+) s to (\S+) s")
    took = float(got[3]) - float(got[2])
    if int(got[1]) != BYTES or took < (BYTES - BURST) / RATE - 0.1:
        raise Failed(f"{got[1]} bytes in {took:.2f} s (console: {console.log})")
    packed = int(console.require(r"dom1: sb: guest packs them into (\d+) bytes")[1])
    if packed < BYTES:
        raise Failed(f"{BYTES} bytes are packed into {packed} (console: {console.log})")


cases_of(CASES, gets_random_numbers)
if __name__ == "__main__":
    main()
