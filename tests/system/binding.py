#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong bindings: Xen says which property, which field, why and what would be right, and
`sidebridge check` says the same of the same host device tree.

Xen does not start such a domain; the others start, with the domain ids that they would have
anyhow. What Xen can find only while it builds a domain, such as a window over a passed-through
device, is no exception: all that the domain had is given back.
"""
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import Skip, case, main
from scene import (ANY_FAILED, BARE_GUEST, GRANTS, OTHER_NAME, PROPERTY, binding, ended, healthy, plain_ranges)

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
    "interrupts that a GIC has, but no guest": (
        binding(interrupts=(992, 4)),
        f"{PROPERTY}: irq_start 992: must be the absolute interrupt id of an SPI, 32 to 991"),
    "more SPIs than a guest has": (
        binding() + "nr_spis = <961>;",
        "nr_spis: 961: a guest's SPIs end at interrupt 991; it must be at most 960"),
    "nine vCPUs with a GICv2": (binding(), "cpus: 9: a guest of a host with this GIC has 1 to 8"),
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
    refused = [Domain(memory_mib=64, cpus=9 if "nine" in name else 1, properties=wrong)
               for name, (wrong, *_) in REFUSED.items()]
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


# A device that is passed through, into the guest's memory window.
PASSED_INTO_THE_WINDOW = """/dts-v1/;
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


def event_channels(*others):
    """Static event channels to these domains: domU1-2 is domain 1's end of the one to domain 2."""
    return "".join(f"""
    domU{mine}_{other}: evtchn@{other} {{
        compatible = "xen,evtchn-v1";
        xen,evtchn = <{10 + other} &domU{other}_{mine}>;
    }};""" for mine, other in others)


@case
def refused_while_they_are_built():
    """What is found only then: the first domain, with all that fits into a guest's tree, and the last one start, with
    the domain ids that they would have anyhow. The memory of the others is given back, and no event channel between
    one of them and another domain is made, nor one of dom0's."""
    full = binding(flags=0) + 'xen,enhanced = "no-xenstore";' + "".join(
        plain_ranges(base, base + 0x1000, interrupts=(100 + n, 1)) for n, base in enumerate((0x50000000, 0x51000000)))
    full += """bridge@52000000 {
        compatible = "xen,ioreq-pci-host-bridge";
        reg-names = "ecam", "memory", "prefetch";
        reg = <0 0x52000000 0 0x100000 0 0x53000000 0 0x1000000 0x20 0 0 0x40000000>;
        xen,irqs = <200 12>;
        xen,grants;
    };"""
    console_window = {"ecam": (0xf000000, 0x100000), "memory": (0x9000000, 0x100000), "prefetch": (0, 0)}
    domains = [
        Domain(image=BARE_GUEST, memory_mib=32, cpus=128, words="sb.expect=nobody",
               properties=full + event_channels((1, 2), (1, 3), (1, 4), (1, 5))),
        Domain(memory_mib=256, properties=binding() + event_channels((2, 1), (2, 3)), partial=PASSED_INTO_THE_WINDOW),
        Domain(memory_mib=64, properties=binding(**console_window) +
               "direct-map; xen,static-mem = <0 0x90000000 0 0x4000000>;" + event_channels((3, 1), (3, 2), (3, 4))),
        Domain(memory_mib=64, properties=binding(interrupts=(989, 4)) + event_channels((4, 1), (4, 3))),
        Domain(image=BARE_GUEST, memory_mib=32, words="sb.expect=nobody",
               properties=binding(flags=0) + event_channels((5, 1))),
    ]
    board = Board("binding-refused-late", domains, counted=True, dom0_run="show-domains",
                  tree="/ { pl031@9010000 { xen,passthrough; }; };")
    console = board.run(until=[ended(1, "conformance"), ended(5, "conformance"), ended(0, "show-domains")],
                        unless=[ANY_FAILED])
    healthy(console, "dom1", "dom5")
    messages = {
        2: f"{PROPERTY}: memory_address 0x23000000: 0x23000000-0x23ffffff overlaps memory or a passed-through device "
           "0x23040000-0x23040fff; move one of them",
        3: f"{PROPERTY}: memory_address 0x9000000: 0x9000000-0x90fffff overlaps a device emulated by Xen "
           "0x9000000-0x9000fff; move one of them",
        4: f"{PROPERTY}: irq_how_many 4: the last SPI of a guest is 991; from irq_start on there are 3"}
    for domain, message in messages.items():
        said = [line.text for line in console.lines
                if line.who == "xen" and re.match(f"/chosen/domU{domain}[:/]", line.text)]
        if said != [f"/chosen/domU{domain}: {message}", f"/chosen/domU{domain}: not started"]:
            raise Failed(f"Xen says {said}, not {message!r} (console: {console.log})")
        console.forbid(f"dom{domain}: ")
        console.require(f"dom0: sb: dom0 sees no domain {domain}$")
    for domain in (1, 5):
        console.require(f"dom0: sb: dom0 sees domain {domain}$")
    # Some 920 MiB are free with the 256 of domain 2.
    free = int(console.require(r"dom0: sb: dom0 sees (\d+) KiB free")[1]) // 1024
    if free < 800:
        raise Failed(f"only {free} MiB are free (console: {console.log})")


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
