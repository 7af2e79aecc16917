# SPDX-License-Identifier: BSD-2-Clause
"""QEMU as the device model: what testbed/build-qemu has made, as files for dom0, and what QEMU has to be told.

    told = foreign.Arguments("one-disk")
    board = Board("one-disk", [guest], dom0_add=[*foreign.files(), *told.files()], dom0_modules=["xenfs"], ...)
    told.write(board)
    board.run(...)

In dom0 tests/qemu/dom0/start-xenstored comes first; Xen's own drivers want it, too.
"""
import subprocess
from pathlib import Path

from board import BUILD, Failed
from initramfs import Missing, with_libraries

HERE = Path(__file__).resolve().parent
QEMU = BUILD / "qemu/qemu-system-aarch64"
KEPT = BUILD / "qemu/kept/qemu-system-aarch64"      # keeps its mappings
TOOL = BUILD / "native/tool/sidebridge"
USERLAND = BUILD / "qemu/userland"
PROGRAMS = ["usr/lib/xen-4.17/bin/xenstored", "usr/lib/xen-4.17/bin/init-dom0less", "usr/bin/xenstore-write",
            "usr/bin/xenstore-ls", "usr/bin/xenstore-chmod"]

ECAM = (0x10000000, 0x10000000)         # QEMU has all 256 buses or none
MEMORY = (0x23000000, 0x2000000)


def files(qemu=QEMU):
    """This QEMU, unless it is None, xenstored and what belongs to it, with their libraries."""
    for needed in filter(None, (qemu, USERLAND)):
        if not needed.exists():
            raise Missing(f"no {needed}: run testbed/build-qemu")
    programs = [(program, f"bin/{Path(program).name}") for program in [*PROGRAMS, *filter(None, [qemu])]]
    start = HERE.parent / "tests/qemu/dom0/start-xenstored"
    return [*with_libraries(programs, USERLAND), (start, f"tests/{start.name}")]


class Arguments:
    """What `sidebridge qemu-args` says of the board's device tree, as dom0's /qemu-arguments."""

    def __init__(self, name):
        self._file = BUILD / "board" / f"{name}-qemu-arguments"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text("")

    def files(self):
        """For the initramfs."""
        return [(self._file, "qemu-arguments")]

    def write(self, board, *options):
        """To be called before the board runs. options: of the tool, beside the device tree and the guest."""
        if not TOOL.exists():
            raise Missing(f"no {TOOL}: run ./check --qemu")
        board.prepare()
        told = subprocess.run([TOOL, "qemu-args", *options, board.directory / "host.dtb", "1"], capture_output=True,
                              text=True, check=False)
        if told.returncode:
            raise Failed(f"qemu-args: {told.stderr}")
        self._file.write_text(told.stdout)
