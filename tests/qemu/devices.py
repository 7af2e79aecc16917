#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QEMU 10 in dom0, unmodified, serves two disks, a network and a random number generator to a stock guest.

QEMU does not say when its bus is ready: Xen takes it for ready when it has claimed nothing more for a while. What
QEMU is told of the bridge is what `sidebridge qemu-args` prints for the board's device tree.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "testbed"))
# pylint: disable=wrong-import-position
import foreign
from board import Board, Domain, Failed
from cases import case, cases_of, main
from foreign import ECAM, MEMORY
from scene import (ANY_FAILED, HOLD, binding, checksum, ended, healthy, kernel, plain_ranges, random_disk,
                   require_checksum, require_interrupts, require_unseen_hold)

STATUS = sum(MEMORY) - 0x10000
# Files of random bytes: name and MiB.
ONE, TWO, RANDOM, DATA = ("one", 16), ("two", 8), ("rng", 1), ("data", 1)

# GIC, vCPUs, kernel of the guest, of dom0, interrupts of the bridge, whether init-dom0less has its turn (Debian's fails
# for a guest with several vCPUs).
COMBINATIONS = {
    "hold_gic3_1cpu_6.1": (3, 1, "6.1", "6.1", 4, False),
    "hold_gic2_1cpu_6.12": (2, 1, "6.12", "6.12", 4, True),
    "hold_gic3_2cpus_6.12": (3, 2, "6.12", "6.1", 12, False),
    "hold_gic2_2cpus_6.1": (2, 2, "6.1", "6.1", 4, False),
}


def child_bridge(ecam, interrupts=4, hold_ms=30000):
    """A bridge in a node of its own, whose guest may be held for longer."""
    return f"""
    pcie@{ecam:x} {{
        compatible = "xen,ioreq-pci-host-bridge";
        reg = <0 {ecam:#x} 0 {ECAM[1]:#x}>, <0 {MEMORY[0]:#x} 0 {MEMORY[1]:#x}>;
        reg-names = "ecam", "memory";
        xen,irqs = <44 {interrupts}>;
        xen,hold-ms = <{hold_ms}>;
    }};"""


def file_of(what):
    """One of these files."""
    name, mib = what
    return random_disk(mib, name)


def scripts(role):
    """The scripts of this suite, for an initramfs."""
    return [(script, f"tests/{script.name}") for script in sorted((HERE / role).iterdir())]


def guest_of(properties, **more):
    """The guest that these tests have in common."""
    return Domain(properties=properties, add=scripts("guest"), modules=["virtio_net", "virtio_rng"], **more)


def run(name, guest, words, until, options=(), **board):
    """Boots with QEMU for the guest. options: of the tool, beside the file and the guest."""
    told = foreign.Arguments(name)
    files = [*foreign.files(), *scripts("dom0"), *told.files(), (file_of(RANDOM), "srv/random"),
             (file_of(DATA), "srv/www/data")]
    it = Board(name, [guest], dom0_run="serve-by-qemu", dom0_words=words, dom0_add=files,
               dom0_modules=["xenfs", "tun"], disks={"one": file_of(ONE), "two": file_of(TWO)}, timeout=1200, **board)
    told.write(it, *options)
    console = it.run(until=until, unless=[ANY_FAILED, "dom0: sb: dom0 end serve-by-qemu"])
    healthy(console, "dom1")
    return console


def require_devices_used(console):
    """Failed unless the guest has read the disks and what dom0 has for it, and has got bytes of the random file."""
    require_checksum(console, "dom1", file_of(ONE), "one")
    require_checksum(console, "dom1", file_of(TWO), "two")
    fetched = console.require(r"dom1: sb: guest fetched sha256 (\w+)")[1]
    if fetched != checksum(file_of(DATA)):
        raise Failed(f"the guest fetched a file with sha256 {fetched} (console: {console.log})")
    console.require(r"dom1: 3 packets transmitted, 3 packets received, 0% packet loss")
    console.require(r"dom1: sb: guest random source virtio_rng\.0")
    got = bytes.fromhex(console.require(r"dom1: sb: guest random bytes (\w+)")[1])
    if len(got) != 16 or got not in file_of(RANDOM).read_bytes():
        raise Failed(f"{file_of(RANDOM)} has no bytes {got.hex()}, which the guest got (console: {console.log})")
    require_interrupts(console, "dom1", "intx")


def first_probe(name):
    """QEMU starts seconds after the guest, which finds its devices at its first probe."""
    gic, cpus, guest_kernel, dom0_kernel, interrupts, introduce = COMBINATIONS[name]
    if cpus == 1:
        properties = binding(ecam=ECAM, memory=MEMORY, interrupts=(44, interrupts), flags=HOLD)
    else:       # in real time, in which a busy machine may take long
        properties = child_bridge(ECAM[0], interrupts, hold_ms=300000)
    words = "sb.delay=5"
    if introduce:
        properties += "xen,enhanced;"
        words += " sb.introduce=1"
    guest = guest_of(properties, kernel=kernel(guest_kernel), cpus=cpus, run="use-devices")
    console = run(f"qemu-{name}", guest, words, [ended(1, "use-devices")], gic=gic, dom0_kernel=kernel(dom0_kernel),
                  counted=cpus == 1)
    console.require_order("dom1: .*pci-host-generic", "dom0: sb: dom0 QEMU starts",
                          "dom1: .*pci 0000:00:01.0: .*1af4:1042", "dom1: .*pci 0000:00:02.0: .*1af4:1041",
                          "dom1: .*pci 0000:00:03.0: .*1af4:1044", "dom1: .*pci 0000:00:05.0: .*1af4:1042",
                          "dom1: sb: guest userspace")
    console.forbid("xen: .*no device model")
    require_unseen_hold(console, "dom1", 5)
    require_devices_used(console)


cases_of(COMBINATIONS, first_probe)


@case
def no_hold_then_rescan():
    """The guest is up before QEMU; the status page tells it when to rescan."""
    guest = guest_of(binding(ecam=ECAM, memory=MEMORY, interrupts=(44, 4), flags=0), run="wait-and-use-devices",
                     words=f"iomem=relaxed sb.status={STATUS:#x}")
    console = run("qemu-rescan", guest, "sb.delay=5", [ended(1, "wait-and-use-devices")], counted=True)
    console.require_order("dom1: sb: guest sees an empty bus", "dom0: sb: dom0 QEMU starts",
                          "dom1: sb: guest sees the bus ready", "dom1: .*pci 0000:00:01.0: .*1af4:1042")
    require_devices_used(console)


@case
def not_the_first_bridge():
    """QEMU claims its functions on bridge 0, here plain ranges: configuration space is served by the ECAM window."""
    guest = guest_of(plain_ranges(0x50000000) + child_bridge(0x60000000), run="use-devices")
    console = run("qemu-second", guest, "sb.delay=5", [ended(1, "use-devices")], options=["--bridge", "1"],
                  counted=True)
    require_devices_used(console)


if __name__ == "__main__":
    main()
