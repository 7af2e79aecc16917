#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `sidebridge compose` has written boots: files are loaded where its manifest says, the tree is as it is, and dom0
has its start files. Guests are numbered in the order of the configuration, each finds its own disk at first probe, and
no address or interrupt was typed.
"""
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, LINUX_ARGUMENTS, XEN_ARGUMENTS, Board, Domain, Failed
from cases import case, main
from scene import ANY_FAILED, ended, healthy, kernel, random_disk, require_checksum, require_interrupts

TOOL = BUILD / "native/tool/sidebridge"
START = 0x40180000      # above the tree that QEMU puts at the begin of RAM, below what is composed


def jump(xen, tree):
    """A program that does what a boot loader does last: x0 is the tree's address, x1 to x3 are 0, then to Xen."""
    def load(register, value):
        return [0xD2800000 | (value & 0xFFFF) << 5 | register,
                0xF2A00000 | (value >> 16 & 0xFFFF) << 5 | register]
    words = load(0, tree) + load(1, 0) + load(2, 0) + load(3, 0) + load(4, xen) + [0xD61F0080]
    return struct.pack(f"<{len(words)}I", *words)


class ComposedBoard(Board):
    """A board whose tree and addresses are compose's; `configuration` is added to what every system needs."""

    def __init__(self, name, domains, configuration, **more):
        super().__init__(name, domains, dom0_run="start-composed", **more)
        self.configuration = configuration

    def _kernel(self, domain, image):
        """The name of a kernel beside the configuration."""
        link = self.directory / f"Image-{domain.kernel}"
        link.unlink(missing_ok=True)
        link.symlink_to(image)
        return link.name

    def _text(self):
        """system.conf, and the initramfs files that it names."""
        dom0_arguments, files = self._linux(self.dom0, "dom0", 0, "console=hvc0")
        lines = [f"DEVICE_TREE={self.qemu_tree().name}", f"XEN={self.xen}", "LOAD_CMD=tftpb",
                 f"XEN_CMD='{XEN_ARGUMENTS.format(dom0_mib=self.dom0.memory_mib, dom0_cpus=1)}'",
                 f"DOM0_KERNEL={self._kernel(self.dom0, files[0][1])}", f"DOM0_RAMDISK={files[1][1].name}",
                 f"DOM0_CMD='{dom0_arguments}'",
                 f"NUM_DOMUS={len(self.domains)}"]
        for number, domain in enumerate(self.domains):
            arguments, files = self._linux(domain, "guest", number + 1, "console=ttyAMA0")
            lines += [f"DOMU_KERNEL[{number}]={self._kernel(domain, files[0][1])}",
                      f"DOMU_RAMDISK[{number}]={files[1][1].name}",
                      f"DOMU_CMD[{number}]='{arguments}'", f"DOMU_MEM[{number}]={domain.memory_mib}"]
        return "\n".join([*lines, self.configuration])

    def _compose(self):
        (self.directory / "system.conf").write_text(self._text())
        done = subprocess.run([TOOL, "compose", "system.conf", "-o", "boot"], cwd=self.directory, capture_output=True,
                              text=True, check=False)
        if done.returncode or done.stderr:
            raise Failed(f"compose: {done.stderr}")

    def prepare(self):
        """Composed twice: dom0's initramfs has what the first time has made to start the device models."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._compose()
        self.dom0.add.append((self.directory / "boot/dom0/etc/init.d/sidebridge-dm", "etc/init.d/sidebridge-dm"))
        self._compose()
        boot = self.directory / "boot"
        checked = subprocess.run([TOOL, "check", boot / "host.dtb"], capture_output=True, text=True, check=False)
        if checked.returncode or checked.stderr:
            raise Failed(f"check: {checked.stderr}")
        places, command = {}, self._machine()
        for line in (boot / "manifest").read_text().splitlines()[1:]:
            address, _, _, name = line.split(None, 3)
            if address != "-":
                places[name] = int(address, 16)
                command += ["-device", f"loader,file={boot / name},addr={address},force-raw=on"]
        (self.directory / "jump").write_bytes(jump(places["xen"], places["host.dtb"]))
        return command + ["-device", f"loader,file={self.directory / 'jump'},addr={START:#x},cpu-num=0,force-raw=on"]


@case
def two_guests_by_two_keys_each():
    """domU0 has the first disk, domU1 the second one."""
    disks = {name: random_disk(16, name) for name in ("one", "two")}
    configuration = "\n".join(f'DOMU_BRIDGE[{number}]=1\nDOMU_DEVICES[{number}]="--blk /dev/disk/{name}"'
                              for number, name in enumerate(disks))
    guests = [Domain(run="show-disk"), Domain(kernel=kernel("6.12"), run="show-disk")]
    console = ComposedBoard("compose", guests, configuration, counted=True, disks=disks).run(
        until=[ended(1, "show-disk"), ended(2, "show-disk")], unless=[ANY_FAILED])
    for guest, disk in zip(("dom1", "dom2"), disks.values()):
        healthy(console, guest)
        require_checksum(console, guest, disk)
        require_interrupts(console, guest, "msix")


if __name__ == "__main__":
    main()
