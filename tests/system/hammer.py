#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest hammers every window of its bridge from four vCPUs for 60 s, with every kind of access (tests/guest,
hammer.c), while its device models come and go, killed or stopped. Nobody else is disturbed: not its neighbour, which
reads its disk all the time, nor dom0, nor whoever reads Xen's console.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import (ANY_SCRIPT_FAILED, BARE_GUEST, COMPLAINTS, HOLD, binding, checksum, ended, random_disk,
                   require_interrupts, require_tap)

SECONDS = 60
VCPUS = 4
ENDS_MIN = 20           # device models that are ended in that time, or a little more of it
SUMS_MIN = 3            # how often the neighbour gets through its disk; once in the shorter case
# What a guest causes Xen to say is all let through on the testbed; here as in the field, up to a rate: ten lines at
# once and then one in five seconds, with another one that says how many were left out.
XEN_WORDS = "guest_loglvl=none/all"
XEN_LINES_MAX = 10, 2 / 5

COUNTED_SECONDS = 20
COUNTED_ENDS_MIN = 5
COUNTED_NS = 8          # an instruction: a slow board, on which time passes quickly
PAUSE_MAX = 2           # seconds that dom0 may have to wait for its turn


def hammered(name, seconds, ends, **board):
    """One boot: dom1 is hostile, dom2 its neighbour. Returns the console."""
    disks = {"disk": random_disk(16), "neighbour": random_disk(32, "neighbour")}
    hostile = Domain(image=BARE_GUEST, memory_mib=32, cpus=VCPUS, words=f"sb.expect=hammer sb.seconds={seconds}",
                     properties=binding(flags=0))
    neighbour = Domain(run="read-again", words=f"sb.seconds={seconds}", properties=binding(flags=HOLD))
    console = Board(name, [hostile, neighbour], dom0_run="come-and-go",
                    dom0_words=f"sb.seconds={seconds} sb.ends={ends}", xen_words=XEN_WORDS, disks=disks,
                    timeout=1200, **board).run(
        until=[r"dom1: sb: guest end conformance status \d", ended(2, "read-again"), ended(0, "come-and-go")],
        unless=[ANY_SCRIPT_FAILED])
    require_tap(console, "dom1")
    require_untouched(console, "dom2", checksum(disks["neighbour"]), SUMS_MIN if seconds == SECONDS else 1)
    require_served(console)
    require_few_lines(console)
    return console


def require_served(console):
    """Failed unless every device model came and went as it should, and nothing of them is left."""
    started, served, refused = map(int, console.require(
        r"dom0: sb: dom0 has started (\d+) device models, (\d+) served, (\d+) were refused").groups())
    generation = int(console.require(r"dom1: sb: guest sees generation (\d+)")[1])
    print(f"# {started} device models were started, {served} served")
    # The guest may look just before the last one is ready.
    if refused or not served - 1 <= generation <= started:
        raise Failed(f"{started} device models were started, {served} served, {refused} were refused; the generation "
                     f"is {generation} (console: {console.log})")
    console.require("dom0: sb: dom0 has 1 ioreq servers for 1, 1 for 2")


def require_few_lines(console):
    """Failed if Xen said more than it may while the guest hammered."""
    said = [str(line) for line in console.lines]
    first = next(n for n, text in enumerate(said) if "dom1: sb: guest hammers" in text)
    last = next(n for n, text in enumerate(said) if "dom1: sb: guest has hammered" in text)
    xen = [line for line in said[first:last] if line.startswith("xen: ")]
    at_once, a_second = XEN_LINES_MAX
    seconds = console.lines[last].seconds - console.lines[first].seconds
    print(f"# {len(xen)} lines of Xen's in {seconds:.0f} s")
    if len(xen) > at_once + a_second * seconds + 2:
        raise Failed(f"Xen said {len(xen)} lines in {seconds:.0f} s, the last one {xen[-1]!r} (console: {console.log})")


def require_untouched(console, guest, expected, least):
    """Failed unless all that the guest has read was right, and it got on."""
    sums = [line.text.split()[-1] for line in console.lines if line.who == guest and "guest sha256" in line.text]
    if len(sums) < least or set(sums) != {expected}:
        raise Failed(f"{guest} has read {sums}, not {expected} (console: {console.log})")
    require_interrupts(console, guest, "msix")
    console.forbid(rf"{guest}: .*({COMPLAINTS})")
    console.forbid(r"xen: .*(d2v\d+ (?!Unhandled SMC/HVC)|crash)")     # Linux asks for firmware that is not there


@case
def four_vcpus_for_60_seconds():
    """On two processors, as they come."""
    hammered("hammer", SECONDS, ENDS_MIN)


@case
def everybody_gets_a_turn():
    """On one processor, whose time does not depend on what else this machine does."""
    console = hammered("hammer-counted", COUNTED_SECONDS, COUNTED_ENDS_MIN, counted=COUNTED_NS)
    pause = int(console.require(r"dom0: sb: dom0 longest pause (\d+)")[1]) / 100
    print(f"# dom0 waited for at most {pause} s")
    if pause > PAUSE_MAX:
        raise Failed(f"dom0 waited for {pause} s (console: {console.log})")


if __name__ == "__main__":
    main()
