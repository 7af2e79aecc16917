#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Builds the initramfs of dom0 or of a guest: an uncompressed cpio archive.

It holds busybox, mke2fs, e2fsck and lspci for arm64 with their libraries (from
build/userland), the kernel modules of the role with all that they depend on
(from build/kernel/VERSION), testbed/init as /init, and the scripts of
tests/system/ROLE as /tests/NAME. More files come by --add.

No root needed: the archive is written here, owners and device nodes included.
The same inputs give the same bytes.

    initramfs.py dom0 6.1 -o OUT [--add build/arm64/dm/sidebridge-dm=/bin/sidebridge-dm]
"""
import argparse
import lzma
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
USERLAND = BUILD / "userland"

MODULES = {
    # dom0: hypercalls and event channels for the device model; the board's disks
    "dom0": ["xen-privcmd", "xen-evtchn", "xen-gntdev", "virtio_mmio", "virtio_blk",
             "crc32c_generic", "ext4"],
    # guest: the devices behind the bridge, or in plain ranges. pci-host-generic itself is built in.
    "guest": ["virtio_pci", "virtio_mmio", "virtio_blk", "crc32c_generic", "ext4"],
}
PROGRAMS = ["sbin/mke2fs", "sbin/e2fsck", "usr/bin/lspci"]


class Missing(Exception):
    """Something that testbed/setup provides is not there."""


class Archive:
    """A cpio archive in the "newc" format that Linux unpacks."""

    def __init__(self):
        self.chunks = []
        self.seen = set()

    def _entry(self, path, mode, data=b"", device=(0, 0)):
        if path in self.seen:
            return
        self.seen.add(path)
        name = path.encode() + b"\0"
        links = 2 if mode & 0o170000 == 0o040000 else 1
        fields = (len(self.seen), mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        for part in (head, data):
            self.chunks.append(part + bytes(-len(part) % 4))

    def _parents(self, path):
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self._entry("/".join(parts[:depth]), 0o040755)

    def file(self, path, data, mode=0o644):
        """A regular file with these bytes."""
        self._parents(path)
        self._entry(path, 0o100000 | mode, data)

    def character_device(self, path, major, minor):
        """A node such as /dev/console."""
        self._parents(path)
        self._entry(path, 0o020600, device=(major, minor))

    def bytes(self):
        """The whole archive."""
        self._entry("TRAILER!!!", 0)
        return b"".join(self.chunks)


def kernel_directory(version):
    """build/kernel/VERSION, which holds Image and, unless all is built in, modules/."""
    directory = BUILD / "kernel" / version
    if not (directory / "Image").exists():
        raise Missing(f"no kernel {version} in {directory}: run testbed/setup")
    return directory


def module_paths(modules, names):
    """Files of the named modules below the directory, each after what it depends on."""
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        depends[path] = needs.split()

    def name_of(path):
        return Path(path).name.split(".ko")[0].replace("-", "_")

    by_name = {name_of(path): path for path in depends}
    built_in = {name_of(path) for path in (modules / "modules.builtin").read_text().split()}
    ordered = []
    for name in names:
        key = name.replace("-", "_")
        if key in built_in:
            continue
        if key not in by_name:
            raise Missing(f"the kernel in {modules} has no module {name}")
        # modules.dep lists a module's whole closure, the deepest last.
        for path in [*reversed(depends[by_name[key]]), by_name[key]]:
            if path not in ordered:
                ordered.append(path)
    return ordered


def needed_libraries(program):
    """The sonames that an ELF file asks for; the interpreter is one of them."""
    output = subprocess.run(["aarch64-linux-gnu-readelf", "-d", str(program)], check=True,
                            capture_output=True, text=True).stdout
    return re.findall(r"Shared library: \[(.+?)\]", output)


def with_libraries(programs, userland):
    """Pairs (file, path inside) for programs of a directory of unpacked packages, and for the shared libraries that
    they need. programs: pairs (path in userland, or an absolute one; path inside)."""
    files = {inside: userland / path for path, inside in programs}
    unseen = list(files.values())
    while unseen:
        program = unseen.pop()
        for soname in needed_libraries(program):
            inside = ("lib/" if soname.startswith("ld-linux") else "lib/aarch64-linux-gnu/") + soname
            if inside in files:
                continue
            found = [userland / base / soname for base in ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu")]
            files[inside] = next((file for file in found if file.exists()), None)
            if files[inside] is None:
                raise Missing(f"{program.name} needs {soname}, which is not in {userland}")
            unseen.append(files[inside])
    return [(file, inside) for inside, file in files.items()]


def virtio_pci_names():
    """What lspci needs to name classes and the vendors seen here: a short pci.ids."""
    lines, keep = [], False
    for line in (USERLAND / "usr/share/misc/pci.ids").read_text(errors="replace").splitlines():
        if line and line[0] not in "\t#":
            keep = line.startswith(("C ", "1af4 ", "1b36 "))
        if keep:
            lines.append(line)
    return "\n".join(lines).encode() + b"\n"


def build(role, kernel, add=(), more_modules=()):
    """The archive for role "dom0" or "guest"; add: pairs (file on the host, path inside)."""
    if not (USERLAND / "bin/busybox").exists():
        raise Missing(f"no busybox in {USERLAND}: run testbed/setup")
    archive = Archive()
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    archive.file("init", (ROOT / "testbed/init").read_bytes(), 0o755)
    archive.file("role", role.encode() + b"\n")
    archive.file("bin/busybox", (USERLAND / "bin/busybox").read_bytes(), 0o755)
    for file, inside in with_libraries([(program, program) for program in PROGRAMS], USERLAND):
        archive.file(inside, file.read_bytes(), 0o755)
    archive.file("usr/share/misc/pci.ids", virtio_pci_names())

    modules = kernel_directory(kernel) / "modules"
    paths = module_paths(modules, [*MODULES[role], *more_modules]) if modules.is_dir() else []
    names = []
    for path in paths:
        data = (modules / path).read_bytes()
        if path.endswith(".xz"):
            data, path = lzma.decompress(data), path[:-3]
        names.append(Path(path).name)
        archive.file(f"modules/{names[-1]}", data)
    archive.file("modules.list", "".join(f"{name}\n" for name in names).encode())

    scripts = ROOT / "tests/system" / role
    for script in sorted(scripts.iterdir()) if scripts.is_dir() else []:
        archive.file(f"tests/{script.name}", script.read_bytes(), 0o755)
    for source, destination in add:
        archive.file(destination.lstrip("/"), Path(source).read_bytes(), 0o755)
    return archive.bytes()


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="build an initramfs for the testbed")
    parser.add_argument("role", choices=sorted(MODULES))
    parser.add_argument("kernel", help="a directory of build/kernel, such as 6.1")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--add", action="append", default=[], metavar="FILE=PATH",
                        help="put the host's FILE at PATH")
    arguments = parser.parse_args()
    try:
        data = build(arguments.role, arguments.kernel,
                     [item.split("=", 1) for item in arguments.add])
    except (Missing, OSError) as problem:
        sys.exit(f"initramfs.py: {problem}")
    arguments.output.write_bytes(data)


if __name__ == "__main__":
    main()
