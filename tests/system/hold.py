#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""HOLD: a guest that boots before its device model is parked at its first touch of the bridge.

It finds its disk at its first probe, whatever its interrupt controller, kind of interrupts,
number of CPUs and kernel (every pair of these occurs); it has not seen the time pass; and it
goes on after the hold time if nobody comes. With one vCPU, time is counted in instructions, so
that a hold is as long on a busy machine, and waiting costs nothing; guests with two or more run on two
processors in real time.
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, cases_of, main
from scene import (ANY_FAILED, ANY_SCRIPT_FAILED, BARE_GUEST, binding, ended, healthy, kernel, random_disk,
                   require_checksum, require_interrupts, require_unseen_hold)

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


def times_of_day(console, guest):
    """What the guest said once, and dom0 last before that."""
    real = 0
    for line in console.lines:
        if match := re.match(rf"(dom0: sb: dom0|{guest}: sb: guest) date (\d+)", str(line)):
            if match[1].startswith(guest):
                return int(match[2]), real
            real = int(match[2])
    raise Failed(f"{guest} has not said what time it is (console: {console.log})")


def stolen(console, guest):
    """Seconds that were stolen from the guest's CPU, as it says."""
    return int(console.require(rf"{guest}: sb: guest cpu0 stolen (\d+)")[1]) / 100


@case
def time_of_day():
    """Guests that know of Xen have the right time after the hold, and none of it was stolen from them."""
    held = 20
    enhanced = 'xen,enhanced = "no-xenstore";'
    guests = [Domain(kernel=version, run="show-time-and-disk", properties=enhanced + binding())
              for version in ("6.1", kernel("6.12"))]
    console = Board("hold-time-of-day", guests, counted=True, dom0_run="serve-and-tell-time",
                    dom0_words=f"sb.delay={held} sb.serve=1:disk,2:other",
                    disks={"disk": random_disk(16), "other": random_disk(16, "other")}).run(
        until=[ended(domain, "show-time-and-disk") for domain in (1, 2)], unless=[ANY_FAILED])
    console.require_order("dom2: .*pci-host-generic", "dom0: sb: dom0 device model starts")
    for guest in ("dom1", "dom2"):
        healthy(console, guest)
        require_unseen_hold(console, guest, held)
        seen, real = times_of_day(console, guest)
        print(f"# {guest}: {seen - real} s ahead of dom0, {stolen(console, guest)} s stolen")
        if abs(seen - real) > 2 or stolen(console, guest) > held / 4:
            raise Failed(f"{guest} was held for {held} s: its time of day is {seen} at {real}, and "
                         f"{stolen(console, guest)} s were stolen from it (console: {console.log})")


@case
def eight_vcpus():
    """Of the guest's eight vCPUs one touches the bridge, while the others do nothing but look at their clocks."""
    guest = Domain(image=BARE_GUEST, memory_mib=32, cpus=8, words="sb.expect=held", properties=binding())
    Board("hold-eight-vcpus", [guest], dom0_run="serve", dom0_words="sb.delay=5", disks={"disk": random_disk(16)}).run(
        until=["dom1: ok .* - hold: parked"], unless=[ANY_SCRIPT_FAILED, "dom1: not ok", "xen: .*Watchdog"])


if __name__ == "__main__":
    main()
