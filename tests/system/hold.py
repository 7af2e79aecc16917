#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""HOLD: a guest that boots before its device model is parked at its first touch of the bridge.

It finds its disk at its first probe, whatever its interrupt controller, kind of interrupts,
number of CPUs and kernel (every pair of these occurs); it has not seen the time pass; and it
goes on after the hold time if nobody comes. With one vCPU, time is counted in instructions, so
that a hold is as long on a busy machine, and waiting costs nothing; guests with two run on two
processors in real time.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain
from cases import case, cases_of, main
from scene import (ANY_FAILED, binding, ended, healthy, kernel, random_disk, require_checksum,
                   require_interrupts, require_unseen_hold)

# GIC, interrupts, vCPUs, kernel of the guest, of dom0. "no_frame": a bridge without MSI vectors.
COMBINATIONS = {
    "gic3_msix_1cpu_6.1": (3, "msix", 1, "6.1", "6.1"),
    "gic3_intx_2cpus_6.12": (3, "intx", 2, "6.12", "6.1"),
    "gic2_msix_2cpus_6.12": (2, "msix", 2, "6.12", "6.12"),
    "gic2_no_frame_1cpu_6.12": (2, "no_frame", 1, "6.12", "6.1"),
    "gic2_intx_2cpus_6.1": (2, "intx", 2, "6.1", "6.1"),
    "gic3_msix_2cpus_6.12": (3, "msix", 2, "6.12", "6.12"),
}


def finds_its_disk(name, guest, delay, serve="1:disk", **board):
    """The device model starts `delay` seconds after dom0; nobody rescans."""
    console = Board(name, [guest], counted=guest.cpus == 1, dom0_run="serve",
                    dom0_words=f"sb.delay={delay} sb.serve={serve}",
                    disks={"disk": random_disk(16)}, **board).run(
        until=[ended(1, "show-disk")], unless=[ANY_FAILED])
    # The hold is what is tested: the guest has met the bridge before there was a device model.
    console.require_order("dom1: .*pci-host-generic", "dom0: sb: dom0 device model starts",
                          "dom1: .*pci 0000:00:01.0: .*1af4:1042", "dom1: sb: guest userspace")
    console.forbid("xen: .*no device model")
    healthy(console, "dom1")
    require_unseen_hold(console, "dom1", delay)
    require_checksum(console, "dom1", random_disk(16))
    return console


def first_probe(name):
    """One of the combinations."""
    gic, interrupts, cpus, guest_kernel, dom0_kernel = COMBINATIONS[name]
    count = 4 if interrupts == "no_frame" else 12
    guest = Domain(kernel=kernel(guest_kernel), cpus=cpus, run="show-disk",
                   properties=binding(interrupts=(44, count)))
    console = finds_its_disk(f"hold-{name}", guest, 5, gic=gic, dom0_kernel=kernel(dom0_kernel),
                             serve="1:disk:--no-msix" if interrupts == "intx" else "1:disk")
    require_interrupts(console, "dom1", "msix" if interrupts == "msix" else "intx")


cases_of(COMBINATIONS, first_probe)


@case
def long_hold():
    """Longer than Linux's own watchdogs wait: RCU complains after 21 s."""
    finds_its_disk("hold-long", Domain(run="show-disk", properties=binding()), 27)


def nobody_comes(name, gic, guest):
    """After the hold time the guest goes on, with an empty bus."""
    console = Board(name, [guest], counted=True, gic=gic).run(
        until=[ended(1, "show-empty-bus"), "dom0: sb: dom0 idle"], unless=[ANY_FAILED])
    console.require_order("dom1: .*pci-host-generic", "dom0: sb: dom0 idle",
                          "xen: d1: PCI bridge 0: no device model after 30000 ms, going on without",
                          "dom1: sb: guest userspace")
    healthy(console, "dom1")
    require_unseen_hold(console, "dom1", 30)


@case
def nobody_comes_gic3_6_1():
    """GICv3."""
    nobody_comes("hold-nobody-gic3", 3, Domain(run="show-empty-bus", properties=binding()))


@case
def nobody_comes_gic2_6_12():
    """GICv2."""
    nobody_comes("hold-nobody-gic2", 2,
                 Domain(kernel=kernel("6.12"), run="show-empty-bus", properties=binding()))


if __name__ == "__main__":
    main()
