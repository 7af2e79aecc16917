#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Domains with a bridge end. They are destroyed: while they hammer it, wait for an answer, or are parked. Nothing is
wedged, and Xen gets back all that it had allocated: as much as for a domain without a bridge, and the bridge's own.
Or they shut themselves down, or are suspended, while they wait for an answer or are parked.
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

HELD_SECONDS = 60   # at most, for the domain that is suspended meanwhile


def parked(seconds):
    """A bridge, as large as ECAM, that waits so long for its device model."""
    return f"""bridge {{
        compatible = "xen,ioreq-pci-host-bridge";
        reg-names = "ecam", "memory";
        reg = <0 0x10000000 0 0x10000000>, <0 0x23000000 0 0x1000000>;
        xen,irqs = <44 12>;
        xen,hold-ms = <{seconds * 1000}>;
    }};"""


def hammering(properties):
    """A guest that does not end by itself."""
    return Domain(image=BARE_GUEST, memory_mib=MEMORY_MIB, cpus=2, words="sb.expect=hammer sb.seconds=100000",
                  properties=properties)


@case
def destroyed():
    """Five domains, one after the other; see tests/system/dom0/destroy-each."""
    bridge = binding(ecam=ECAM, flags=0)
    held = Domain(image=BARE_GUEST, memory_mib=MEMORY_MIB, cpus=2, words="sb.expect=held", properties=parked(600))
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


@case
def shut_down():
    """Three domains, one after the other; see tests/system/dom0/end-each."""
    guests = [Domain(image=BARE_GUEST, memory_mib=MEMORY_MIB, cpus=cpus, words="sb.expect=ends",
                     properties=parked(HELD_SECONDS if cpus == 1 else 600)) for cpus in (1, 2, 3)]
    console = Board("domain-ends-shut-down", guests, counted=16, dom0_run="end-each",
                    dom0_words=f"sb.held={HELD_SECONDS + 2}", disks={"disk": random_disk(16)}).run(
        until=[ended(0, "end-each")], unless=[ANY_SCRIPT_FAILED, "Bail out!"])
    # Who is suspended is not held: nothing runs out, and it waits anew.
    console.forbid("xen: d1: .*no device model")
    console.require_order("dom1: sb: guest touches its bridge", "dom0: sb: dom0 device model starts for 1",
                          "dom1: sb: guest reads 0x1af4")
    if not console.find("dom1: sb: guest cannot suspend itself"):
        console.require_order("dom0: sb: dom0 resumes 1", "dom1: sb: guest is resumed and reads 0x1af4")
    for domain in (2, 3):
        console.require_order(f"dom{domain}: sb: guest reads 0x1af4",
                              f"dom{domain}: sb: guest ends while a vCPU waits, after answers")


if __name__ == "__main__":
    main()
