#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest has a console on a terminal of dom0's, where somebody logs in, and ports with names, through which
numbers go both ways while the device model is killed 20 times: none is missing, and none comes twice.
"""
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import cases_of, main
from scene import ANY_FAILED, binding, ended, healthy, kernel

CASES = {
    "gic3_6.1": (3, "6.1"),
    "gic2_6.12": (2, "6.12"),
}
KILLS = 20
LINES = 20000


def consoles(name):
    """All numbers went through, and the log is what the guest wrote."""
    gic, version = CASES[name]
    guest = Domain(kernel=kernel(version), run="use-consoles", properties=binding(), modules=["virtio_console"])
    console = Board(f"consoles-{name}", [guest], gic=gic, dom0_run="serve-consoles", dom0_words=f"sb.kills={KILLS}",
                    dom0_kernel=kernel(version), timeout=500).run(
        until=[ended(1, "use-consoles"), ended(0, "serve-consoles")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require_order("dom0: sb: dom0 logged in", f"dom0: sb: dom0 killed it {KILLS} times")
    seen = console.require(r"dom0: sb: dom0 log (\d+) lines sha256 (\w+)")
    expected = hashlib.sha256("".join(f"{line}\n" for line in range(1, LINES + 1)).encode()).hexdigest()
    if seen[2] != expected:
        raise Failed(f"the log has {seen[1]} lines, and not the {LINES} of the guest (console: {console.log})")


if __name__ == "__main__":
    cases_of(CASES, consoles)
    main()
