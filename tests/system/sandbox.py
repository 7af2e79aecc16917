#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The device model's sandbox in dom0: each layer holds alone, whatever somebody who has taken the process over tries,
and in all of them a guest is served and left in order.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import cases_of, main
from scene import ANY_FAILED, binding, ended, healthy, kernel, random_disk, require_checksum

CASES = {"dom0_6.1": "6.1", "dom0_6.12": "6.12"}
USER = 0x70000000 + 1
LEFT = (rf"Uid\s+{USER}\s+{USER}\s+{USER}\s+{USER}", rf"Gid\s+{USER}\s+{USER}\s+{USER}\s+{USER}", r"Groups\s*$",
        r"CapPrm\s+0+$", r"CapEff\s+0+$", r"CapBnd\s+0+$", r"NoNewPrivs\s+1", r"Seccomp\s+2", r"files in its root 0,",
        r"open files 1$", r"core file size 0$", r"processes 272$")
ATTEMPTS = {"6.1": 109, "6.12": 112}       # Landlock of 6.12 knows ports, signals and abstract sockets, too


def holds(name):
    """Domain 2 is somebody else."""
    version = CASES[name]
    guests = [Domain(kernel=kernel("6.12"), run="show-disk", properties=binding()), Domain()]
    disk = random_disk(16)
    console = Board(f"sandbox-{name}", guests, counted=True, dom0_kernel=kernel(version), dom0_run="serve-in-sandbox",
                    dom0_add=[(BUILD / "arm64/tests/system/sb-sandbox", "bin/sb-sandbox")], disks={"disk": disk}).run(
        until=[ended(0, "serve-in-sandbox"), ended(1, "show-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_checksum(console, "dom1", disk)
    console.forbid("dom0: sb: dom0 attempt:")
    console.require("dom0: sb: dom0 attempts end with 0")
    attempts = int(console.require(r"dom0: sb: dom0 attempts refused (\d+)")[1])
    if attempts != ATTEMPTS[version]:
        raise Failed(f"{attempts} attempts instead of {ATTEMPTS[version]} (console: {console.log})")
    lacks = r"sidebridge-dm: the sandbox lacks: namespaces \(No space left on device\)"
    console.require_order(rf"dom0: sb: dom0 without a layer: status 1: {lacks}$",
                          rf"dom0: sb: dom0 without a layer: status 0: {lacks}$",
                          "dom0: sidebridge-dm: serving: domain 1", "dom0: sb: dom0 sandbox: Uid")
    console.require_order(r'dom0: sb: dom0 asks:   "state":"serving"', r'dom0: sb: dom0 asks: .*"name":"disk"',
                          r'dom0: sb: dom0 asks: sidebridge_accesses_total\{domain="1",bridge="0"\} \d+',
                          r'dom0: sb: dom0 asks: sidebridge_queue_used_total\{.*kind="blk",device="disk",queue="0"\} 0',
                          r"dom0: sb: dom0 asks: sidebridge-dm: /tmp/control: no device model listens there")
    for pattern in LEFT:
        console.require(rf"dom0: sb: dom0 sandbox: {pattern}")
    console.forbid("dom0: sb: dom0 sandbox: shares")
    console.require("dom0: sb: dom0 device model ends with 0")
    console.require("dom0: sb: dom0 counts accesses: ")


cases_of(CASES, holds)
if __name__ == "__main__":
    main()
