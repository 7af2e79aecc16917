#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Domains with a bridge are destroyed: while they hammer it, wait for an answer, or are parked. Nothing is wedged, and
Xen gets back all that it had allocated: as much as for a domain without a bridge, and the bridge's own.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import ANY_SCRIPT_FAILED, BARE_GUEST, binding, ended, random_disk

MEMORY_MIB = 32
# Of 256 buses, so that what Xen allocates for a bridge (a byte a function) cannot be overlooked.
ECAM = (0x10000000, 0x10000000)
OWNERS_KIB = 64
NOISE_KIB = 32      # dom0 gives pages to Xen and takes them back
SECONDS_MAX = 20    # for Xen to destroy a domain, on a busy machine

PARKED = """bridge {
    compatible = "xen,ioreq-pci-host-bridge";
    reg-names = "ecam", "memory";
    reg = <0 0x10000000 0 0x10000000>, <0 0x23000000 0 0x1000000>;
    xen,irqs = <44 12>;
    xen,hold-ms = <600000>;
};"""


def hammering(properties):
    """A guest that does not end by itself."""
    return Domain(image=BARE_GUEST, memory_mib=MEMORY_MIB, cpus=2, words="sb.expect=hammer sb.seconds=100000",
                  properties=properties)


@case
def destroyed():
    """Five domains, one after the other; see tests/system/dom0/destroy-each."""
    bridge = binding(ecam=ECAM, flags=0)
    held = Domain(image=BARE_GUEST, memory_mib=MEMORY_MIB, cpus=2, words="sb.expect=held", properties=PARKED)
    console = Board("domain-ends", [hammering(""), *(hammering(bridge) for _ in range(3)), held],
                    dom0_run="destroy-each", disks={"disk": random_disk(16)}, timeout=900).run(
        until=[ended(0, "destroy-each")], unless=[ANY_SCRIPT_FAILED])
    console.require("dom1: Bail out! no bridge")
    console.forbid("dom5: .*(not )?ok .* - hold")
    freed = {}
    for domain in range(1, 6):
        if 2 <= domain <= 4:
            console.require_order(f"dom{domain}: sb: guest hammers", f"dom0: sb: dom0 destroys {domain}")
        took = int(console.require(f"dom0: sb: dom0 has destroyed {domain} after (\\d+) s")[1])
        if took > SECONDS_MAX:
            raise Failed(f"dom{domain} was destroyed after {took} s (console: {console.log})")
        freed[domain] = int(console.require(f"dom0: sb: dom0 sees {domain} gone, (\\d+) KiB freed")[1])
    print(f"# KiB freed: {freed}")
    plain = freed.pop(1)
    if plain < MEMORY_MIB * 1024 or min(freed.values()) < plain + OWNERS_KIB - NOISE_KIB or \
            max(freed.values()) - min(freed.values()) > NOISE_KIB:
        raise Failed(f"a domain without bridge has freed {plain} KiB, those with one {freed} (console: {console.log})")


if __name__ == "__main__":
    main()
