#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a disk is for, on two processors in real time: 256 MiB are read as they are on the host;
a file system that the guest has made, filled and left is clean on the host.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import (ANY_FAILED, RING_PACKED, binding, empty_disk, ended, healthy, kernel, random_disk,
                   require_checksum, require_feature, require_file, require_interrupts)


BLK_MQ = 12  # virtio 1.2, 5.2.3


def run(name, guest, disk, serve="1:disk", options="", **board):
    """Boots with this disk until the guest's script has ended well."""
    console = Board(name, [guest], dom0_run="serve", dom0_words=f"sb.serve={serve} sb.disk={options}",
                    disks={"disk": disk}, timeout=600, **board).run(
        until=[ended(1, guest.run)], unless=[ANY_FAILED])
    healthy(console, "dom1")
    return console


def read(name, **more):
    """The disk has the same sha256 in the guest."""
    guest = Domain(kernel=kernel("6.12"), cpus=2, run="show-disk", properties=binding())
    console = run(name, guest, random_disk(256), dom0_kernel=kernel("6.12"), **more)
    require_checksum(console, "dom1", random_disk(256))
    require_interrupts(console, "dom1", "msix")
    return console


@case
def reads_256_mib():
    """A disk of random bytes."""
    read("disk-read")


@case
def reads_256_mib_by_packed_rings_and_two_queues():
    """The same, one queue a processor."""
    console = read("disk-read-packed", options=",packed,queues=2")
    require_feature(console, "dom1", RING_PACKED, True)
    require_feature(console, "dom1", BLK_MQ, True)


def filesystem(name, guest, interrupts, serve, **board):
    """The host looks at what is on stable storage when the board is switched off."""
    disk = empty_disk(160, name)
    console = run(name, guest, disk, serve, **board)
    require_interrupts(console, "dom1", interrupts)
    size = require_file(console, "dom1", disk)
    if size != 64 << 20:
        raise Failed(f"the file on {disk} has {size} bytes")


@case
def filesystem_gic3_msix_1cpu():
    """MSI-X, 6.1."""
    filesystem("filesystem-msix", Domain(run="make-filesystem", properties=binding()), "msix",
               "1:disk")


@case
def filesystem_gic2_intx_2cpus():
    """INTx, 6.12."""
    guest = Domain(kernel=kernel("6.12"), cpus=2, run="make-filesystem", properties=binding())
    filesystem("filesystem-intx", guest, "intx", "1:disk:--no-msix", gic=2)


if __name__ == "__main__":
    main()
