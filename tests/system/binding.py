#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong bindings: Xen says which property, which field, why and what would be right, and
`sidebridge check` says the same of the same host device tree.

Xen does not start such a domain; the others start, with the domain ids that they would have
anyhow. What Xen can find only while it builds a domain (a window over a passed-through
device) stops its boot, as everything does that fails there.
"""
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import Skip, case, main
from scene import (ANY_FAILED, GRANTS, OTHER_NAME, PROPERTY, binding, ended, healthy, plain_ranges)

TOOL = BUILD / "native/tool/sidebridge"

# What is wrong -> the properties of a domain with 64 MiB, what Xen says of them, and of which child of its node.
REFUSED = {
    "overlaps RAM": (
        binding(memory=(0x43000000, 0x2000000)),
        f"{PROPERTY}: memory_address 0x43000000: 0x43000000-0x44ffffff overlaps guest RAM "
        "0x40000000-0x43ffffff; move one of them"),
    "overlaps the vGIC": (
        binding(OTHER_NAME, ecam=(0x3000000, 0x100000)),
        f"{OTHER_NAME}: ecam_address 0x3000000: 0x3000000-0x30fffff overlaps the vGIC's distributor "
        "0x3001000-0x3001fff; move one of them"),
    "one cell too many": (
        binding(more=[0]),
        f"{PROPERTY}: length 64 bytes (16 cells): expected 60 bytes (15 cells) with "
        "#address-cells 2 and #size-cells 2"),
    "unknown flags": (
        binding(flags=0xa),
        f"{PROPERTY}: flags 0xa: reserved bits must be 0; bit 0 is GRANTS, bit 1 is HOLD, together 0x3"),
    "grants without a grant table": (
        binding(flags=GRANTS),
        f"{PROPERTY}: flags 0x1: GRANTS (bit 0) needs the domain's grant table: add xen,enhanced, "
        "or clear the bit"),
    "both names": (
        binding() + binding(OTHER_NAME),
        f"{PROPERTY}: present together with {OTHER_NAME}, its other name; remove one of them"),
    "the UART's interrupt": (
        binding(interrupts=(32, 8)),
        f"{PROPERTY}: irq_start 32: 32-39 overlaps vpl011 32-32; move one of them"),
    "too few SPIs": (
        binding() + "nr_spis = <23>;",
        f"{PROPERTY}: nr_spis 23: of the domain does not reach the bridge's last interrupt; "
        "it must be at least 24"),
    "a plain range overlaps RAM": (
        plain_ranges(0x43fff000),
        "xen,ioreq-mmio: memory_address 0x43fff000: 0x43fff000-0x43ffffff overlaps guest RAM "
        "0x40000000-0x43ffffff; move one of them", "ranges@43fff000"),
    "a plain range overlaps a PCI host bridge": (
        binding() + plain_ranges(0x50000000, 0x23fe0000),
        "xen,ioreq-mmio: prefetch_address 0x23fe0000: 0x23fe0000-0x23fe0fff overlaps another bridge of the "
        "domain 0x23000000-0x23ffffff; move one of them", "ranges@50000000"),
}


def tool_says(board):
    """What `sidebridge check` says of the board's host device tree, without the file's name and notes."""
    if not TOOL.exists():
        raise Skip(f"{TOOL} is not built: ./check builds it")
    tree = board.directory / "host.dtb"
    done = subprocess.run([TOOL, "check", tree], capture_output=True, text=True, check=False)
    said = [line.removeprefix(f"{tree}: ") for line in (done.stdout + done.stderr).splitlines()]
    return done.returncode, [line for line in said if re.match("/chosen/[^ ]*: (?!note: )", line)]


@case
def refused_domains_and_their_neighbours():
    """All of them in one boot, between a domain with a good bridge and one without any."""
    refused = [Domain(memory_mib=64, properties=wrong) for wrong, *_ in REFUSED.values()]
    last = len(refused) + 2
    board = Board("binding-refused", [Domain(run="show-empty-bus", properties=binding(flags=0)),
                                      *refused, Domain()], gic=2, counted=True)
    console = board.run(until=[ended(1, "show-empty-bus"), f"dom{last}: sb: guest idle",
                               "dom0: sb: dom0 idle"], unless=[ANY_FAILED])
    healthy(console, "dom1", f"dom{last}")
    expected = []
    for domain, (wrong, (_, message, *child)) in enumerate(REFUSED.items(), 2):
        message = f"{'/'.join([f'/chosen/domU{domain}', *child])}: {message}"
        said = [line.text for line in console.lines
                if line.who == "xen" and re.match(f"/chosen/domU{domain}[:/]", line.text)]
        if said != [message, f"/chosen/domU{domain}: not started"]:
            raise Failed(f"{wrong}: Xen says {said}, not {message!r} (console: {console.log})")
        console.forbid(f"xen: .*d{domain} BANK|dom{domain}: ")
        expected.append(message)
    status, said = tool_says(board)
    if sorted(said) != sorted(expected) or status != 1:
        raise Failed(f"sidebridge check ends with {status} and says:\n" + "\n".join(said))


@case
def over_a_passed_through_device():
    """Xen names both parties before it stops."""
    partial = """/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    passthrough {
        compatible = "simple-bus";
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        rtc@23040000 {
            compatible = "arm,pl031";
            reg = <0 0x23040000 0 0x1000>;
            xen,reg = <0 0x9010000 0 0x1000 0 0x23040000>;
            xen,path = "/pl031@9010000";
            xen,force-assign-without-iommu;
        };
    };
};"""
    board = Board("binding-passthrough", [Domain(properties=binding(), partial=partial)], counted=True,
                  tree="/ { pl031@9010000 { xen,passthrough; }; };")
    try:
        board.run(until=["dom1: sb: guest idle"])
    except Failed:
        pass
    board.console.require_order(
        "xen: /chosen/domU1: " + re.escape(
            f"{PROPERTY}: memory_address 0x23000000: 0x23000000-0x23ffffff overlaps memory or a "
            "passed-through device 0x23040000-0x23040fff; move one of them"),
        "xen: .*Could not set up domain")


@case
def good_binding():
    """The tool has nothing to say of the tree that every other test boots."""
    board = Board("binding-good", [Domain(properties=binding()), Domain(properties=binding(OTHER_NAME))])
    board.prepare()
    status, said = tool_says(board)
    if said or status:
        raise Failed(f"sidebridge check ends with {status} and says:\n" + "\n".join(said))


if __name__ == "__main__":
    main()
