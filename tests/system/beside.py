#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bridge beside other things of a guest: a device that is passed through to it, and a direct-mapped guest, whose
RAM, vGIC and UART are where the hardware has them.
"""
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import case, main
from scene import (ANY_FAILED, PROPERTY, binding, ended, healthy, random_disk, require_checksum, require_interrupts)

# QEMU's virt board has its real-time clock here. The one interrupt that it has, SPI 2, is the guest's as well.
CLOCK = """/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    gic: gic {
        #interrupt-cells = <3>;
        interrupt-controller;
    };
    passthrough {
        compatible = "simple-bus";
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        crystal: crystal {
            compatible = "fixed-clock";
            #clock-cells = <0>;
            clock-frequency = <24000000>;
        };
        rtc@9010000 {
            compatible = "arm,pl031", "arm,primecell";
            reg = <0 0x9010000 0 0x1000>;
            interrupt-parent = <&gic>;
            interrupts = <0 2 4>;
            clocks = <&crystal>;
            clock-names = "apb_pclk";
            xen,reg = <0 0x9010000 0 0x1000 0 0x9010000>;
            xen,path = "/pl031@9010000";
            xen,force-assign-without-iommu;
        };
    };
};"""
CLOCK_IS_PASSED = "/ { pl031@9010000 { xen,passthrough; }; };"

# 256 MiB of the board's RAM, above what QEMU's loader puts there.
RAM = (0x90000000, 0x10000000)
DIRECT_MAP = f"direct-map; xen,static-mem = <0 {RAM[0]:#x} 0 {RAM[1]:#x}>;"
# No device of the board is here: below its PCI windows, and above its RAM.
HOLES = {"ecam": (0xf000000, 0x100000), "memory": (0xf800000, 0x800000), "prefetch": (0x1000000000, 0x40000000)}


@case
def passthrough():
    """The stock kernel uses both: the clock has the right time and interrupts, and so has the disk."""
    guest = Domain(run="show-clock-and-disk", properties=binding(), partial=CLOCK)
    console = Board("beside-passthrough", [guest], tree=CLOCK_IS_PASSED, dom0_run="serve",
                    disks={"disk": random_disk(16)}).run(
        until=[ended(1, "show-clock-and-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    said = int(console.require(r"dom1: sb: guest clock rtc-pl031 \S+ says (\d+)")[1])
    if abs(said - time.time()) > 3600:
        raise Failed(f"the guest's clock says {said}, this machine's {time.time():.0f} (console: {console.log})")
    console.require(r"dom1:  *\d+: +[1-9]\d* .*GIC.* 34 Level +rtc-pl031")
    require_checksum(console, "dom1", random_disk(16))
    require_interrupts(console, "dom1", "msix")


def is_direct_mapped(console):
    """The guest sees its RAM, its vGIC and its UART where the board has them."""
    console.require(rf"dom1: .*node   0: \[mem {RAM[0]:#018x}-{sum(RAM) - 1:#018x}\]")
    console.require(r"dom1: .*GICv3: CPU0: found redistributor .*:0x0*80a0000")
    console.require(r"dom1: .*ttyAMA0 at MMIO 0x9000000")


@case
def direct_map():
    """Windows in holes of the host's map."""
    guest = Domain(run="show-disk", cpus=2, properties=binding(**HOLES) + DIRECT_MAP)
    console = Board("beside-direct-map", [guest], dom0_run="serve", disks={"disk": random_disk(16)}).run(
        until=[ended(1, "show-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    is_direct_mapped(console)
    require_checksum(console, "dom1", random_disk(16))
    require_interrupts(console, "dom1", "msix")


@case
def direct_map_over_ram():
    """A window over the RAM: Xen names both, does not start the domain, and goes on."""
    wrong = {**HOLES, "memory": (0x9f000000, 0x2000000)}
    board = Board("beside-direct-map-ram", [Domain(properties=binding(**wrong) + DIRECT_MAP), Domain()], counted=True)
    console = board.run(until=["dom2: sb: guest idle"])
    console.require_order("xen: /chosen/domU1: " + re.escape(
        f"{PROPERTY}: memory_address 0x9f000000: 0x9f000000-0xa0ffffff overlaps guest RAM 0x90000000-0x9fffffff; "
        "move one of them"), "xen: /chosen/domU1: not started")


if __name__ == "__main__":
    main()
