#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The conformance test: a guest without an operating system (tests/guest) tries every kind of access on all of
a bridge, and judges for itself. It prints TAP; a case here is one boot of it, and fails with the guest's lines.

nobody: no device model and no HOLD. served: the guest waits at the status page. held: it touches the bridge before
there is a device model. It has one vCPU, and time is a count of instructions.
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import cases_of, main
from initramfs import Missing
from scene import ANY_FAILED, HOLD, OTHER_NAME, PROPERTY, binding, random_disk

IMAGE = BUILD / "arm64/tests/guest/conformance.image"
HELD_DELAY = 5  # seconds of dom0's time before its device model starts, when the guest is to be parked

# The third has configuration space above 4 GiB, the smallest memory window, and neither frame nor prefetchable window.
COMBINATIONS = {
    "nobody_gic3": (3, "nobody", "", binding(flags=0)),
    "served_msix_gic2": (2, "served", "1:disk", binding(flags=HOLD)),
    "held_intx_gic3": (3, "held", "1:disk:--no-msix", binding(
        OTHER_NAME, ecam=(0x3000000000, 0x200000), memory=(0x24000000, 0x100000), prefetch=(0, 0),
        interrupts=(100, 4))),
    # Where the first patches for Xen had them.
    "nobody_high_gic2": (2, "nobody", "", binding(
        PROPERTY, ecam=(0xf100000000, 0x10000000), memory=(0xf110000000, 0x2000000),
        prefetch=(0xf000000000, 0x100000000), flags=0)),
}


class GuestBoard(Board):
    """A board whose guests have the program in place of a kernel, and no initramfs."""

    def _module_nodes(self, domain, role, number, console):
        if role == "dom0":
            return super()._module_nodes(domain, role, number, console)
        if not IMAGE.exists():
            raise Missing(f"no {IMAGE}: run testbed/build-arm64")
        address, size = self._module(IMAGE)
        return domain.words, (f'kernel@{address:x} {{ compatible = "multiboot,kernel", "multiboot,module"; '
                              f'reg = <0 {address:#x} 0 {size:#x}>; bootargs = "{domain.words}"; }};')


def judge(console):
    """Failed unless the guest's TAP is whole and every test of it passed; returns how many there were."""
    said = [line.text for line in console.lines if line.who == "dom1"]
    tests = [match for text in said if (match := re.match(r"(not )?ok (\d+) - (.*)", text))]
    wrong = [text for text in said if re.match(r"not ok|Bail out!", text)]
    if wrong:
        notes = [text for text in said if re.match(r"# (not so|exception|.* not 0x)", text)]
        raise Failed(f"{'; '.join([*wrong, *notes][:12])} (console: {console.log})")
    plans = [text for text in said if text.startswith("1..")]
    if not tests or [int(test[2]) for test in tests] != list(range(1, len(tests) + 1)) or \
            plans != [f"1..{len(tests)}"]:
        raise Failed(f"incomplete: {len(tests)} tests, plan {plans} (console: {console.log})")
    return len(tests)


def conforms(name):
    """One boot."""
    gic, expect, serve, properties = COMBINATIONS[name]
    guest = Domain(memory_mib=32, words=f"sb.expect={expect}", properties=properties)
    delay = HELD_DELAY if expect == "held" else 0
    words = {"dom0_run": "serve", "dom0_words": f"sb.delay={delay} sb.serve={serve}"} if serve else {}
    disks = {"disk": random_disk(16, "conformance")} if serve else {}
    console = GuestBoard(f"conformance-{name}", [guest], counted=True, gic=gic, disks=disks, timeout=900,
                         **words).run(until=[r"dom1: sb: guest end conformance status \d"],
                                      unless=[ANY_FAILED.replace("end", "end (?!conformance)")])
    judge(console)
    if serve:
        console.require(r"dom1: # function .* vendor 0x1af4 device 0x1042")
        console.require(r"dom1: ok \d+ - virtio: ")
    console.require(r"dom1: sb: guest end conformance status 0")


cases_of(COMBINATIONS, conforms)
if __name__ == "__main__":
    main()
