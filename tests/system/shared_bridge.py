#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two device models share a bridge, each with one function of it: the guest finds both at its first look, nobody else
gets a function that is taken, or the ECAM window with it, and when one of them is killed the other goes on.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import ANY_FAILED, binding, checksum, empty_disk, ended, healthy, random_disk


@case
def one_bridge_two_device_models():
    """The guest is there first and is held until the second one is there."""
    disks = {"one": random_disk(8, "one"), "two": random_disk(4, "two"),
             "three": empty_disk(1, "three"), "four": empty_disk(1, "four")}
    guest = Domain(run="show-shared", properties=binding())
    console = Board("shared-bridge", [guest], counted=True, dom0_run="share", disks=disks).run(
        until=[ended(1, "show-shared")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require_order("dom0: sb: dom0 device model of one serves", "dom0: sb: dom0 device model of two serves",
                          r"dom1: .*virtio_blk virtio\d", r"dom1: sb: guest reads two again",
                          "dom0: sb: dom0 killed", r"dom1: sb: guest sees vendors 1af4 1af4")
    for name in ("one", "two"):
        place = f"0000:00:0{name == 'two' and 2 or 1}.0"
        console.require(f"dom1: sb: guest {name} at {place} sha256 {checksum(disks[name])}$")
    console.require(r"dom0: sb: dom0 status 1 of --share --blk \S+three,addr=2: "
                    "sidebridge-dm: domain 1, bridge 0: function 00:02.0: another device model has it$")
    console.require(r"dom0: sb: dom0 status 1 of --share .*,addr=1: "
                    "sidebridge-dm: domain 1, bridge 0: function 00:01.0: another device model has it$")
    console.require(r"dom0: sb: dom0 status 1 of --blk \S+four: sidebridge-dm: domain 1, bridge 0: "
                    "cannot claim the ECAM window: another device model has some of it$")
    console.require(r"dom0: sb: dom0 status 1 of --blk \S+three: sidebridge-dm: domain 1: "
                    "another device model serves this bridge$")
    said = [str(line) for line in console.lines]
    dead = said[said.index("dom0: sb: dom0 killed the device model of one"):]
    dead = dead[:dead.index("dom0: sb: dom0 device model of one serves")]
    if sum(f"reads two again, sha256 {checksum(disks['two'])}" in line for line in dead) < 2:
        raise Failed(f"the disk of the one that lives is not read any more (console: {console.log})")
    console.forbid("sb: guest reads two again, sha256 (?!" + checksum(disks["two"]) + ")")


if __name__ == "__main__":
    main()
