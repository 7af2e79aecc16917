#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every board whose device tree Debian's kernel brings: what the tool reads of it against an independent reading.

Into each tree go a direct-mapped guest with vpl011 and a plain one. The tool's `map` must show the first one's vGIC and
vpl011 where this file, which shares no code with the tool, finds the board's GIC and console, `check` must refuse just
the guests that Xen could not give a vpl011, and the plain guest must be right on every board.
"""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Failed
from cases import Skip, case, main

TOOL = BUILD / "native/tool/sidebridge"
GUEST = 'compatible = "xen,domain"; #address-cells = <2>; #size-cells = <2>; cpus = <1>; memory = <0 0x10000>; vpl011;'
KERNEL = 'k { compatible = "multiboot,kernel", "multiboot,module"; reg = <0 0x7f000000 0 0x100000>; };'
BRIDGE = "secondary-emulated-pci-host-bridge = <0 0x10000000 0 0x100000 0 0x23000000 0 0x1000000 0 0 0 0 {} 4 0>;"
GIC = {"arm,gic-v3": 3, "arm,gic-400": 2, "arm,cortex-a15-gic": 2, "arm,cortex-a7-gic": 2}
# Xen's drivers/char, by what they match.
DRIVERS = re.compile(r"amlogic,meson(-gx|6|8|8b)?-uart|arm,(pl011|sbsa-uart)|brcm,bcm2835-aux-uart|cdns,uart-r1p(8|12)|"
                     r"fsl,(imx8qm-lpuart|imx8qxp-lpuart|s32v234-linflexuart)|marvell,armada-3700-uart|ns16550a?|"
                     r"nxp,s32g[23]-linflexuart|renesas,scifa?|samsung,exynos4210-uart|snps,dw-apb-uart|ti,am654-uart|"
                     r"ti,omap4-uart")


class Node:
    """A node of a flattened device tree, read by hand."""

    def __init__(self, name, parent):
        self.name, self.parent, self.properties, self.children = name, parent, {}, []

    def text(self, name):
        """The strings of a property."""
        return [part.decode(errors="replace") for part in self.properties.get(name, b"").split(b"\0")[:-1]]

    def cells(self, name):
        """The cells of a property."""
        value = self.properties.get(name, b"")
        return list(struct.unpack(f">{len(value) // 4}I", value[:len(value) // 4 * 4]))

    def inherited(self, name, default):
        """The first cell that this node or an ancestor says."""
        node = self
        while node:
            if node.cells(name):
                return node.cells(name)[0]
            node = node.parent
        return default

    def alive(self):
        """What Xen calls available."""
        return "status" not in self.properties or self.text("status")[:1] in (["okay"], ["ok"])

    def walk(self):
        """This node and all below, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()

    def at(self, path):
        """The node at a path, or None."""
        node = self
        for name in path.strip("/").split("/"):
            exact = [child for child in node.children if child.name == name]
            near = [child for child in node.children if child.name.split("@")[0] == name]
            if not exact and not near:
                return None
            node = (exact or near)[0]
        return node

    def registers(self):
        """[(CPU's address, size)]; None where there is no way."""
        a, s = self.parent.inherited("#address-cells", 2), self.parent.inherited("#size-cells", 1)
        cells, found = self.cells("reg"), []
        while a + s and len(cells) >= a + s:
            address, size = number(cells[:a]), number(cells[a:a + s])
            found.append((self.parent.translate(address), size))
            cells = cells[a + s:]
        return found

    def translate(self, address):
        """From this bus to the CPU's."""
        if not self.parent or address is None:
            return address
        if "ranges" not in self.properties:
            return None
        cells = self.cells("ranges")
        c, p, s = (self.inherited("#address-cells", 2), self.parent.inherited("#address-cells", 2),
                   self.inherited("#size-cells", 1))
        if not cells:
            return self.parent.translate(address)
        for i in range(0, len(cells) - (c + p + s) + 1, c + p + s):
            child, parent = number(cells[i:i + c]), number(cells[i + c:i + c + p])
            if child <= address < child + number(cells[i + c + p:i + c + p + s]):
                return self.parent.translate(parent + address - child)
        return None


def number(cells):
    """Cells as one number."""
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value


def read_tree(blob):
    """The root."""
    _, _, structure, strings = struct.unpack(">4I", blob[:16])
    at, node, root = structure, None, None
    while True:
        token = struct.unpack(">I", blob[at:at + 4])[0]
        at += 4
        if token == 1:
            end = blob.index(b"\0", at)
            child = Node(blob[at:end].decode(), node)
            if node:
                node.children.append(child)
            root, node, at = root or child, child, (end + 4) & ~3
        elif token == 2:
            node = node.parent
        elif token == 3:
            length, name = struct.unpack(">2I", blob[at:at + 8])
            name = blob[strings + name:blob.index(b"\0", strings + name)].decode()
            node.properties.setdefault(name, blob[at + 8:at + 8 + length])
            at = (at + 8 + length + 3) & ~3
        elif token == 9:
            return root


def expected_gic(root):
    """The ranges of a direct-mapped guest's vGIC with one vCPU, or None: there is no GIC that Xen knows."""
    for node in root.walk():
        version = next((GIC[name] for name in node.text("compatible") if name in GIC), None)
        if version and "interrupt-controller" in node.properties and node.parent and node.alive():
            registers = node.registers()
            if any(address is None for address, _ in registers[:2]):
                return []
            sizes = (0x1000, 0x2000) if version == 2 else (0x10000, registers[1][1])
            return [(address, size) for (address, _), size in zip(registers, sizes)]
    return None


def expected_console(root, value):
    """Address and size of the UART that dtuart= or stdout-path names; None: Xen could not use it."""
    value = value.split(":")[0]
    if not value.startswith("/"):
        aliases = root.at("aliases")
        value = (aliases.text(value) or [""])[0] if aliases else ""
    node = root.at(value) if value.startswith("/") else None
    if not node or not node.alive() or not any(DRIVERS.fullmatch(name) for name in node.text("compatible")):
        return None
    registers = node.registers()
    return registers[0] if registers and registers[0][0] is not None else None


def boards():
    """The .dtb files."""
    found = sorted((BUILD / "kernel").glob("*/dtbs"))
    if not found:
        raise Skip("no .dtb files: run testbed/setup")
    return sorted(found[-1].rglob("*.dtb"))


def run_tool(command, blob):
    """Its lines, of both outputs."""
    done = subprocess.run([TOOL, command, blob], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def with_guests(base, work, boot_arguments):
    """The board's tree with the guests in it."""
    overlay, source, blob = work / "guests.dtbo", work / "guests.dts", work / "board.dtb"
    source.write_text(f"""/dts-v1/; /plugin/; / {{ fragment@0 {{ target-path = "/chosen"; __overlay__ {{
        #address-cells = <2>; #size-cells = <2>; {boot_arguments}
        dom0 {{ compatible = "multiboot,kernel", "multiboot,module"; reg = <0 0x7e000000 0 0x100000>; }};
        plain {{ {GUEST} {BRIDGE.format(400)} {KERNEL} }};
        direct {{ {GUEST} direct-map; xen,static-mem = <0 0x60000000 0 0x4000000>; {KERNEL} }};
    }}; }}; }};""")
    subprocess.run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", overlay, source], check=True)
    blob.write_bytes(base.read_bytes())
    subprocess.run(["fdtput", "-cp", blob, "/chosen"], check=True, capture_output=True)
    done = subprocess.run(["fdtoverlay", "-i", blob, "-o", blob, overlay], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{base}: {done.stderr.strip()}")
    return blob


def mapped(lines, name):
    """The ranges of the direct-mapped guest that `map` gives that name, as (first, size)."""
    start = next(n for n, line in enumerate(lines) if re.match(r"domain \d+ /chosen/direct", line))
    end = next((n for n, line in enumerate(lines[start + 1:], start + 1) if line.startswith("domain ")), len(lines))
    ranges = [re.match(rf". 0x(\w+) - 0x(\w+) .*  {name}$", line) for line in lines[start:end]]
    return [(int(match[1], 16), int(match[2], 16) - int(match[1], 16) + 1) for match in ranges if match]


def disagreements(base, work, boot_arguments, console):
    """What the two readings of one board do not agree about."""
    root = read_tree(base.read_bytes())
    chosen = root.at("chosen")
    console = console or (chosen.text("stdout-path") or [""])[0] if chosen else console or ""
    gic, uart = expected_gic(root), expected_console(root, console)
    blob = with_guests(base, work, boot_arguments)
    _, lines, _ = run_tool("map", blob)
    status, _, said = run_tool("check", blob)
    faults = [line for line in said if ": warning: " not in line and ": note: " not in line]
    wrong = []
    if mapped(lines, "the vGIC") != sorted(gic or []):
        wrong.append(f"GIC {gic}, the tool has {mapped(lines, 'the vGIC')}")
    if mapped(lines, "vpl011") != ([(uart[0], 0x1000)] if uart else []):
        wrong.append(f"console {uart}, the tool has {mapped(lines, 'vpl011')}")
    if any("/chosen/direct: vpl011: " in line for line in faults) != (not uart or uart[1] < 0x1000):
        wrong.append(f"console {uart}, and: {faults}")
    if any("/chosen/plain" in line for line in faults):
        wrong.append(f"a plain guest is refused: {faults}")
    if status != (1 if faults else 0):
        wrong.append(f"exit status {status} with {len(faults)} faults")
    return wrong


def sweep(boot_arguments, console):
    """Every board; what is wrong is printed, one line each."""
    files = boards()
    with tempfile.TemporaryDirectory() as directory:
        wrong = {base: found for base in files
                 if (found := disagreements(base, Path(directory), boot_arguments, console))}
    for base, found in wrong.items():
        print(f"# {base.name}: {'; '.join(found)}")
    print(f"# {len(files)} boards, {len(wrong)} wrong")
    if wrong or len(files) < 500:
        raise Failed(f"{len(wrong)} of {len(files)} boards are read wrongly")


@case
def console_by_stdout_path():
    """No command line of Xen's."""
    sweep("", "")


@case
def console_by_dtuart():
    """dtuart= wins, though it names an alias that many boards have not."""
    sweep('xen,xen-bootargs = "console=dtuart dtuart=serial0";', "serial0")


if __name__ == "__main__":
    main(at_once=False)
