#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Doorbells: hardly a vCPU waits while the guest reads its disk block by block, before and after the device model was
killed with its doorbells bound. And a device model that polls where that is in vain: it does not go on with it.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, cases_of, main
from scene import (ANY_FAILED, binding, checksum, empty_disk, ended, healthy, kernel, random_disk, require_checksum,
                   require_interrupts)

MIB = 4
READS = MIB * 256

VAIN_MAX = 32           # each time in vain it stays away twice as long

# With INTx each interrupt costs an access: the ISR status is read.
CASES = {
    "msix_6.1": ("6.1", "", "msix", 16),
    "intx_6.12": ("6.12", "--no-msix", "intx", READS + 64),
}


def read_twice(name, version, options, interrupts, **board):
    """The guest reads the disk, and again by the second device model; the console, and how many doorbells that one
    heard."""
    disk = random_disk(MIB)
    guest = Domain(kernel=kernel(version), run="read-and-tell", properties=binding())
    console = Board(f"doorbells-{name}", [guest], dom0_run="serve-and-count", dom0_words=f"sb.options={options}",
                    disks={"disk": disk, "mailbox": empty_disk(1, f"mailbox-{name}")}, **board).run(
        until=[ended(0, "serve-and-count"), ended(1, "read-and-tell")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_checksum(console, "dom1", disk)
    console.require(f"dom1: sb: guest again, sha256 {checksum(disk)}$")
    require_interrupts(console, "dom1", interrupts)
    console.require("dom0: sb: dom0 counts sidebridge-dm: ready: .*, resumed$")
    console.require("dom0: sb: dom0 device model ends with 0$")
    return console, int(console.require(r"dom0: sb: dom0 counts doorbells rung: (\d+)$")[1])


def counts(name):
    """What the second device model has counted."""
    version, options, interrupts, accesses_max = CASES[name]
    console, rung = read_twice(name, version, options, interrupts, counted=True)
    accesses = int(console.require(r"dom0: sb: dom0 counts accesses: (\d+), malformed: 0$")[1])
    if rung < READS or accesses > accesses_max:
        raise Failed(f"{READS} reads rang {rung} doorbells and made {accesses} accesses (console: {console.log})")


cases_of(CASES, counts)


@case
def polling_in_vain_ends():
    """They have one processor: while the device model polls there is no guest that could make a request."""
    console, rung = read_twice("polling-alone", "6.12", "--poll-us=50", "msix", counted=True)
    polls, found = map(int, console.require(
        r"dom0: sb: dom0 counts polled: (\d+), found without an event: (\d+)$").groups())
    print(f"# polled {polls} times, found a request {found} times, {rung} doorbells were rung for {READS} reads",
          flush=True)
    if not 0 < polls <= VAIN_MAX or rung < READS - VAIN_MAX:
        raise Failed(f"{polls} polls, {rung} doorbells rung (console: {console.log})")


if __name__ == "__main__":
    main()
