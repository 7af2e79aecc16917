#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Xen's own ioreq code, as the series leaves it, compiled for user space: test_ioreq.c.

The sources are common/ioreq.c, arch/arm/ioreq.c and arch/arm/io.c of build/xen-pristine, which testbed/setup has
got, and of XEN_SRC, if that is in the environment, with xen/apply; what they include is real where it defines requests,
and else environment.h. Without Xen's source the test is skipped: ./check has set up before it comes here.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SOURCES = ("xen/common/ioreq.c", "xen/arch/arm/ioreq.c", "xen/arch/arm/io.c")
REAL = {"xen/ioreq.h": "xen/include/xen/ioreq.h",
        "public/hvm/ioreq.h": "xen/include/public/hvm/ioreq.h", "public/hvm/dm_op.h": "xen/include/public/hvm/dm_op.h",
        **{f"asm/{name}.h": f"xen/arch/arm/include/asm/{name}.h" for name in ("ioreq", "mmio", "hsr", "traps")}}
INCLUDE = re.compile(r'^#\s*include\s+([<"])([^>"]+)[>"]', re.M)
SKIPPED = 77


def touched(series):
    """The files that a series changes."""
    if (series / "hooks").is_dir():
        return {line.split()[1] for line in (series / "SHA256SUMS").read_text().splitlines()}
    return {match for patch in series.glob("*.patch") for match in re.findall(r"^--- a/(.*)$", patch.read_text(), re.M)}


def patched(pristine, tree):
    """What is needed of the source, with the series for its version, in tree; the version."""
    numbers = re.findall(r"^export XEN_(?:SUB)?VERSION\s*=\s*(\d+)", (pristine / "xen/Makefile").read_text(), re.M)
    version = ".".join(numbers)
    for name in touched(ROOT / "xen" / version) | {"xen/Makefile", *SOURCES, *REAL.values()}:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pristine / name, tree / name)
    subprocess.run([ROOT / "xen/apply", tree], check=True)
    return version


def provide(tree, include):
    """In the directory include: all headers that the sources ask for."""
    asked = [(None, tree / source) for source in SOURCES]
    for name, path in REAL.items():
        (include / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / path, include / name)
        asked.append((name, tree / path))
    for asker, path in asked:
        for quote, name in INCLUDE.findall(path.read_text()):
            if quote == '"' and asker:
                name = os.path.normpath(Path(asker).parent / name)
            if name not in REAL:
                (include / name).parent.mkdir(parents=True, exist_ok=True)
                (include / name).write_text('#include "environment.h"\n')


def test(pristine):
    """Builds and runs it with the source of one Xen. True if it passed."""
    with tempfile.TemporaryDirectory() as directory:
        tree, include, program = (Path(directory, name) for name in ("tree", "include", "program"))
        version = patched(pristine, tree)
        provide(tree, include)
        subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-D__XEN__", "-D__XEN_TOOLS__", "-O1", "-g", "-Wall",
                        "-Werror", "-fno-strict-aliasing", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                        f"-I{include}", f"-I{HERE}", *(tree / source for source in SOURCES), HERE / "test_ioreq.c",
                        "-o", program, "-lcmocka"], check=True)
        print(f"# Xen {version}", flush=True)
        return subprocess.run([program], check=False, timeout=100).returncode == 0


def main():
    """All Xens that are there."""
    sources = [ROOT / "build/xen-pristine"]
    if os.environ.get("XEN_SRC"):
        sources.append(ROOT / os.environ["XEN_SRC"])
    there = [source for source in sources if (source / "xen/Makefile").exists()]
    if not there:
        print(f"ok 1 - Xen's ioreq code # SKIP no Xen source in {sources[0]}: run testbed/setup")
        return SKIPPED
    return 0 if all([test(source) for source in there]) else 1


if __name__ == "__main__":
    sys.exit(main())
