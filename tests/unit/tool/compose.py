#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Composes the systems of compose/*/system.conf and looks at what comes out. Prints TAP.

    compose.py TOOL

A case is a directory. Comments of its system.conf say what is made for it and what is expected:

    # options: --xen 4.22            of the command line
    # make: kernel NAME [SIZE]       a file with the header of an arm64 Image, whose image_size is SIZE
    # make: ramdisk NAME             one that begins as a packed cpio archive does
    # make: data NAME [TEXT]
    # expect: 3: KEY: message        what is reported of the configuration; all of it, in order
    # tree: /path property VALUE     cells in hexadecimal or texts in quotes; "-" for an empty property
    # nodes: /path NAME...           the path's nodes, all, in their order
                                     FILE:/path in both is of another tree that is written
    # script: LINE                   a line of boot.source
    # file: NAME: LINE               a line of another file that is written
    # shows: TEXT                    a part of what is printed

*.dts beside it, and the boards in compose/boards that DEVICE_TREE names, are compiled. With an error among the
expectations the exit status is 1 and nothing is written; else `sidebridge check` finds nothing wrong with the tree, and
image, manifest and checksums are right.
"""
import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

CASES = Path(__file__).resolve().parent / "compose"
BOARDS = CASES / "boards"
TOOL = str(Path(sys.argv[1]).resolve())


class Wrong(Exception):
    """What is not as it should be."""


class Skipped(Exception):
    """What cannot be tested here."""


def run(arguments, directory, **more):
    """Runs a program to its end."""
    return subprocess.run(arguments, cwd=directory, capture_output=True, text=True, errors="replace", timeout=60,
                          check=False, **more)


def kernel(size):
    """The header of an arm64 Image, and something behind it."""
    header = bytearray(64)
    struct.pack_into("<Q", header, 16, size)
    header[56:60] = b"ARM\x64"
    return bytes(header) + b"\0" * 936


def make_file(directory, kind, name, rest):
    """One of `# make:`."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes({"kernel": lambda: kernel(int(rest or "0x10000", 0)),
                      "ramdisk": lambda: b"\x1f\x8b" + name.encode(),
                      "data": lambda: (rest or name).encode() + b"\n"}[kind]())


def compile_tree(source, blob):
    """By dtc; a tree of a case is to be one that it takes."""
    made = run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", blob, source], ".")
    if made.returncode:
        raise Wrong(made.stderr)


def lines_of(text, word):
    """What stands behind `# WORD: ` in the configuration."""
    return re.findall(rf"^# {word}: ?(.*)$", text, re.M)


def prepare(case, directory):
    """Files of a case in a directory of its own; the text of its configuration."""
    shutil.copytree(case, directory, dirs_exist_ok=True)
    text = (directory / "system.conf").read_text()
    for source in directory.glob("*.dts"):
        compile_tree(source, source.with_suffix(".dtbo" if "/plugin/" in source.read_text() else ".dtb"))
    for line in lines_of(text, "make"):
        kind, name, *rest = line.split(None, 2)
        make_file(directory, kind, name, rest[0] if rest else "")
    for name in re.findall(r"^DEVICE_TREE *= *[\"']?([\w./-]+)\.dtb", text, re.M):
        if (BOARDS / f"{name}.dts").exists():
            compile_tree(BOARDS / f"{name}.dts", directory / f"{name}.dtb")
    return text


def property_of(directory, tree, path, name):
    """As `# tree:` writes it: the texts, and the cells."""
    words = run(["fdtget", "-t", "x", tree, path, name], directory)
    if words.returncode:
        raise Wrong(f"{path} {name}: {words.stderr}")
    if not words.stdout.strip():
        return "-", "-"
    texts = run(["fdtget", "-t", "s", tree, path, name], directory).stdout.strip()
    return texts, " ".join(f"0x{word}" for word in words.stdout.split())


def tree_of(directory, tree, path):
    """Which tree is meant, and the path in it."""
    name, colon, rest = path.partition(":")
    return (directory / "boot" / name, rest) if colon and not path.startswith("/") else (tree, path)


def check_tree(directory, text, tree):
    """What `# tree:` and `# nodes:` say."""
    for line in lines_of(text, "tree"):
        path, name, wanted = line.split(None, 2)
        texts, cells = property_of(directory, *tree_of(directory, tree, path), name)
        got = texts if wanted[0] == '"' else cells
        if got != (" ".join(shlex.split(wanted)) if wanted[0] == '"' else wanted):
            raise Wrong(f"{path} {name}: {got}, expected {wanted}")
    for line in lines_of(text, "nodes"):
        path, *wanted = line.split()
        got = run(["fdtget", "-l", *tree_of(directory, tree, path)], directory).stdout.split()
        if got != wanted:
            raise Wrong(f"{path} has the nodes {got}, expected {wanted}")


def check_image(image, source):
    """The legacy image of a script."""
    head = bytearray(image[:64])
    magic, head_sum, _, size, _, _, data_sum = struct.unpack_from(">7I", head)
    head[4:8] = bytes(4)
    if (magic, head_sum, data_sum) != (0x27051956, zlib.crc32(head), zlib.crc32(image[64:])):
        raise Wrong("boot.scr: magic or checksums are wrong")
    if size != len(image) - 64 or head[28:32] != bytes([5, 22, 6, 0]):
        raise Wrong("boot.scr: size or kind is wrong")
    if image[64:72] != struct.pack(">II", len(source), 0) or image[72:] != source:
        raise Wrong("boot.scr: not the text of boot.source")


def check_files(output, source):
    """That each file is there, once, as manifest and checksums have it, and none overlaps another in memory."""
    sums = dict(reversed(line.split("  ", 1)) for line in (output / "SHA256SUMS").read_text().splitlines())
    there = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    if there != set(sums) | {"SHA256SUMS"}:
        raise Wrong(f"files are {sorted(there)}, SHA256SUMS has {sorted(sums)}")
    for name, wanted in sums.items():
        if hashlib.sha256((output / name).read_bytes()).hexdigest() != wanted:
            raise Wrong(f"{name}: not the checksum of SHA256SUMS")
    end = 0
    places = []
    for line in (output / "manifest").read_text().splitlines()[1:]:
        address, size, checksum, name = line.split(None, 3)
        if checksum != sums[name] or int(size) != (output / name).stat().st_size:
            raise Wrong(f"manifest: {line}")
        if address != "-":
            places.append((int(address, 16), int(size), name))
            if name not in source and not name.endswith(".scr"):
                raise Wrong(f"{name} is not loaded")
    for address, size, name in sorted(places):
        if address < end or address % 0x200000:
            raise Wrong(f"{name} at {address:#x}")
        end = address + size


def compose(directory, *options):
    """Runs the tool in the directory of a case."""
    return run([TOOL, "compose", *options, "system.conf", "-o", "boot"], directory)


def check_case(case, directory):
    """One directory."""
    text = prepare(case, directory)
    options = [word for line in lines_of(text, "options") for word in shlex.split(line)]
    result = compose(directory, *options)
    expected = lines_of(text, "expect")
    failing = any(": warning: " not in line and ": note: " not in line for line in expected)
    got = [re.sub(r"^system\.conf:( (?=\d)|(?=\d))", "", line) for line in result.stderr.splitlines()
           if not line.endswith("nothing was written")]
    if got != expected:
        raise Wrong("messages:\n" + "\n".join(got) + "\nexpected:\n" + "\n".join(expected))
    if result.returncode != (1 if failing else 0):
        raise Wrong(f"exit status {result.returncode}: {result.stderr}")
    output = directory / "boot"
    if failing:
        if output.exists() or list(directory.glob("boot.new-*")):
            raise Wrong("something was written")
        return
    sources = [path for path in output.iterdir() if path.suffix == ".source"]
    source = sources[0].read_bytes()
    tree = output / (re.findall(r"^FDTEDIT=\"?([\w.-]+)", text, re.M) or ["host.dtb"])[0]
    checked = run([TOOL, "check", *options_for_check(options), tree], directory)
    if checked.returncode:
        raise Wrong(f"check: {checked.stderr}")
    check_tree(directory, text, tree)
    check_image(sources[0].with_suffix(".scr").read_bytes(), source)
    check_files(output, source.decode())
    for line in lines_of(text, "script"):
        if line not in source.decode().splitlines():
            raise Wrong(f"boot.source has no line: {line}\n{source.decode()}")
    for name, line in (entry.split(": ", 1) for entry in lines_of(text, "file")):
        if line not in (output / name).read_text().splitlines():
            raise Wrong(f"{name} has no line: {line}\n{(output / name).read_text()}")
    for part in lines_of(text, "shows"):
        if part not in result.stdout:
            raise Wrong(f"not shown: {part}\n{result.stdout}")


def options_for_check(options):
    """Those that `check` has too."""
    return [word for option, value in zip(options, options[1:]) if option in ("--xen", "--address-bits")
            for word in (option, value)]


def snapshot(directory):
    """Names and contents below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def base_system(directory):
    """A small system that composes."""
    return prepare(CASES / "disk-by-two-keys", directory)


def expect_failure(directory, *texts, options=()):
    """compose fails, says so, and leaves everything as it was."""
    before = snapshot(directory)
    result = compose(directory, *options)
    if result.returncode != 1 or any(text not in result.stderr for text in texts):
        raise Wrong(f"exit status {result.returncode}: {result.stderr}")
    if snapshot(directory) != before:
        raise Wrong("files have changed")


def test_same_again(directory):
    """The same description gives the same bytes, also in the place of what was there."""
    base_system(directory)
    first = compose(directory)
    before = snapshot(directory / "boot")
    second = compose(directory)
    if first.returncode or second.returncode or snapshot(directory / "boot") != before:
        raise Wrong(first.stderr + second.stderr)
    if [path.name for path in directory.iterdir() if path.name.startswith("boot.")]:
        raise Wrong("something is left behind")


def test_failure_leaves_old(directory):
    """A fault in the configuration, and in what it names."""
    text = base_system(directory)
    compose(directory)
    (directory / "system.conf").write_text(text + "DOMU_MEM[0]=lots\n")
    expect_failure(directory, 'DOMU_MEM[0]: "lots" is not a number', "nothing was written")
    (directory / "system.conf").write_text(text)
    (directory / "Image").unlink()
    expect_failure(directory, "Image: No such file or directory")


def test_foreign_file_is_kept(directory):
    """A directory in which there is something that compose did not write is not replaced."""
    base_system(directory)
    (directory / "boot").mkdir()
    (directory / "boot/photograph.jpg").write_bytes(b"mine")
    expect_failure(directory, "photograph.jpg is not one of the files")
    (directory / "boot/photograph.jpg").unlink()
    if compose(directory).returncode:
        raise Wrong("an empty directory is refused")
    (directory / "boot/SHA256SUMS").write_text("")
    expect_failure(directory, "is not one of the files")


def test_output_cannot_be_made(directory):
    """A file in its place, a directory that is not there."""
    base_system(directory)
    (directory / "boot").write_bytes(b"")
    expect_failure(directory, "boot: Not a directory")
    result = run([TOOL, "compose", "system.conf", "-o", "none/boot"], directory)
    if result.returncode != 1 or "No such file or directory" not in result.stderr:
        raise Wrong(result.stderr)


def test_full_disk(directory):
    """A file that is larger than may be written."""
    base_system(directory)
    compose(directory)
    before = snapshot(directory / "boot")
    result = run(["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", TOOL, "compose", "system.conf", "-o", "boot"],
                 directory)
    if result.returncode != 1 or "File too large" not in result.stderr or snapshot(directory / "boot") != before:
        raise Wrong(f"exit status {result.returncode}: {result.stderr}")
    if list(directory.glob("boot.*")):
        raise Wrong("something is left behind")


def places(output):
    """Of manifest: {name: address}."""
    return {line.split(None, 3)[3]: line.split()[0] for line in (output / "manifest").read_text().splitlines()[1:]}


def test_added_guest_moves_none(directory):
    """Windows, interrupts, static memory and files of the others stay where they are."""
    text = base_system(directory)
    make_file(directory, "kernel", "second", "0x800000")
    make_file(directory, "kernel", "third", "0x800000")
    two = text + 'NUM_DOMUS=2\nDOMU_KERNEL[1]=second\nDOMU_STATIC_MEM[1]=auto\nDOMU_BRIDGE[1]=1\nDOMU_VPL011[1]=0\n'
    trees = []
    for configuration in (two, two + 'NUM_DOMUS=3\nDOMU_KERNEL[2]=third\nDOMU_STATIC_MEM[2]=auto\nDOMU_BRIDGE[2]=1\n'
                                     'DOMU_VPL011[2]=0\n'):
        (directory / "system.conf").write_text(configuration)
        result = compose(directory)
        if result.returncode:
            raise Wrong(result.stderr)
        printed = result.stdout.partition("domain 3")[0].partition("boot is written")[0]
        trees.append((printed, [property_of(directory, "boot/host.dtb", f"/chosen/domU{i}", name)
                                for i, name in ((0, "secondary-emulated-pci-host-bridge"), (1, "xen,static-mem"),
                                                (1, "secondary-emulated-pci-host-bridge"))]))
    if trees[0] != trees[1]:
        raise Wrong(f"{trees[0]}\n{trees[1]}")


def test_standard_input(directory):
    """The configuration may come through a pipe."""
    text = base_system(directory)
    result = run([TOOL, "compose", "-", "-d", ".", "-o", "boot"], directory, input=text)
    if result.returncode or not (directory / "boot/boot.scr").exists():
        raise Wrong(result.stderr)


def test_ten_guests_within_a_second(directory):
    """The best of three runs, under the sanitizers."""
    text = base_system(directory) + "NUM_DOMUS=10\n"
    for i in range(1, 10):
        text += f'DOMU_KERNEL[{i}]=Image\nDOMU_BRIDGE[{i}]=1\nDOMU_DEVICES[{i}]="--blk /srv/{i}.img"\n'
    (directory / "system.conf").write_text(text)
    best = 60.0
    for _ in range(3):
        start = time.monotonic()
        result = compose(directory)
        best = min(best, time.monotonic() - start)
        if result.returncode:
            raise Wrong(result.stderr)
    if best > 1:
        raise Wrong(f"{best:.2f} s")


def test_script_is_as_mkimage_makes_it(directory):
    """But for its time and name, and so for the checksum of the header."""
    if not shutil.which("mkimage"):
        raise Skipped("no mkimage: Debian's package u-boot-tools has it")
    base_system(directory)
    compose(directory)
    made = run(["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-a", "0x40200000", "-e", "0x40200000",
                "-d", "boot/boot.source", "other.scr"], directory)
    ours, theirs = ((directory / name).read_bytes() for name in ("boot/boot.scr", "other.scr"))
    if made.returncode or any(ours[part] != theirs[part] for part in (slice(4), slice(12, 32), slice(64, None))):
        raise Wrong(f"{ours[:64].hex()}\n{theirs[:64].hex()}")


def test_prefix_and_load(directory):
    """-p and -t, also words that would be other commands."""
    base_system(directory)
    result = compose(directory, "-p", "${bootdir}", "-t", "sd")
    source = (directory / "boot/boot.source").read_text()
    if result.returncode or "load mmc 0:1 0x40600000 ${bootdir}/host.dtb\n" not in source:
        raise Wrong(result.stderr + source + result.stdout)
    for options in (["-p", "a;reset"], ["-p", "a b"], ["-t", "load mmc 0:1; reset"], ["-t", "load `x`"]):
        if compose(directory, *options).returncode not in (1, 2):
            raise Wrong(f"{options} is taken")


def test_device_models_start_and_stop(directory):
    """The script of a system without systemd, with a device model that fails once."""
    text = base_system(directory) + """DOMU_DEVICES[0]='--blk "/srv/my $disk;.img,id=it'\\''s"'\n"""
    (directory / "system.conf").write_text(text)
    if (result := compose(directory)).returncode:
        raise Wrong(result.stderr)
    script = directory / "boot/dom0/etc/init.d/sidebridge-dm"
    if not os.access(script, os.X_OK) or run(["sh", "-n", script], directory).returncode:
        raise Wrong("not a script")
    local = directory / "start"
    local.write_text(script.read_text().replace("run=/run/sidebridge", f"run={directory}/run"))
    stub = directory / "bin/sidebridge-dm"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf "%s|" "$@" >> "$0.said"\necho >> "$0.said"\n'
                    'trap "echo ended >> $0.said; exit 0" TERM\n[ "$(wc -l < "$0.said")" -gt 1 ] || exit 1\n'
                    'while :; do sleep 0.05; done\n')
    stub.chmod(0o755)
    environment = dict(os.environ, PATH=f"{stub.parent}:{os.environ['PATH']}")
    said = stub.with_suffix(".said")
    subprocess.run(["sh", local, "start"], cwd=directory, env=environment, check=True, timeout=20,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: said.exists() and said.read_text().count("\n") >= 2)
    subprocess.run(["sh", local, "stop"], cwd=directory, env=environment, check=True, timeout=20)
    wait_for(lambda: said.read_text().endswith("ended\n"))
    wanted = f"--state|{directory}/run/domU0/state|--domain|1|--bridge|0|--blk|/srv/my $disk;.img,id=it's|\n"
    if said.read_text() != wanted * 2 + "ended\n":
        raise Wrong(said.read_text())


def wait_for(condition):
    """A few seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise Wrong("it did not happen")
        time.sleep(0.05)


def test_command_line(directory):
    """Help, and what is wrong with options."""
    helped = run([TOOL, "compose", "--help"], directory)
    if helped.returncode or "--output" not in helped.stdout:
        raise Wrong(helped.stderr)
    for options in ([], ["a", "b"], ["--none", "a"], ["--xen", "3", "a"], ["--address-bits", "31", "a"]):
        if run([TOOL, "compose", *options], directory).returncode != 2:
            raise Wrong(f"{options} is taken")


def test_hostile_bytes(directory):
    """Whatever a file has in it gets an answer: cut off anywhere, or one byte changed."""
    text = (CASES / "everything" / "system.conf").read_bytes() if (CASES / "everything").exists() else b"A=1\n"
    prepare(CASES / "disk-by-two-keys", directory)
    step = max(1, len(text) // 60)
    samples = [text[:end] for end in range(0, len(text), step)]
    for i, byte in enumerate(b"\0\xff\"'$`\\(){}[]\n;#=|&<>~ \r"):
        for at in range(i, len(text), len(text) // 3 + 1):
            samples.append(text[:at] + bytes([byte]) + text[at + 1:])
    for sample in samples:
        (directory / "system.conf").write_bytes(sample)
        result = compose(directory)
        if result.returncode not in (0, 1) or "Sanitizer" in result.stderr or "runtime error" in result.stderr:
            raise Wrong(f"{sample!r}: exit status {result.returncode}: {result.stderr}")


def test_hostile_sizes(directory):
    """Many lines, long values, values that multiply."""
    prepare(CASES / "disk-by-two-keys", directory)
    doubling = "A0=aaaaaaaaaaaaaaaa\n" + "".join(f"A{i + 1}=$A{i}$A{i}\n" for i in range(64))
    for text, wanted in ((doubling, "longer than 16384 bytes"),
                         ("".join(f"A{i}=1\n" for i in range(5000)), "more than 4096 assignments"),
                         ("A" * 100 + "=1\n", "a name of more than 63 bytes"),
                         ("A=" + "x" * 20000 + "\n", "longer than 16384 bytes"),
                         ("#" * (1 << 20) + "\n", "larger than 1 MiB"),
                         ("A=1\0\n", "byte 0"),
                         ("XEN[99999999999]=x\n", "the index")):
        (directory / "system.conf").write_text(text)
        start = time.monotonic()
        expect_failure(directory, wanted)
        if time.monotonic() - start > 20:
            raise Wrong(f"{wanted}: too slow")


def main():
    """Every case, then every function that tests."""
    tests = [(case.name, lambda path, case=case: check_case(case, path))
             for case in sorted(CASES.iterdir()) if (case / "system.conf").exists()]
    tests += [(name[5:].replace("_", " "), function) for name, function in sorted(globals().items())
              if name.startswith("test_")]
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as directory:
            try:
                function(Path(directory))
                print(f"ok {number} - {name}", flush=True)
            except Skipped as why:
                print(f"ok {number} - {name} # SKIP {why}", flush=True)
            except (Wrong, subprocess.TimeoutExpired) as wrong:
                failed = 1
                print(f"not ok {number} - {name}")
                print("".join(f"# {line}\n" for line in str(wrong).splitlines()), end="", flush=True)
    print(f"1..{len(tests)}")
    return failed


if __name__ == "__main__":
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    sys.exit(main())
