# SPDX-License-Identifier: BSD-2-Clause
"""What system tests have in common: how a bridge is asked for, what a guest must never say,
and disks whose content the host knows.

    guest = Domain(run="show-disk", properties=binding())
    console = Board("one-disk", [guest], dom0_run="serve", disks={"disk": random_disk(16)}).run(
        until=[ended(1, "show-disk")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    require_checksum(console, "dom1", random_disk(16))
"""
import contextlib
import hashlib
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from board import BUILD, Failed
from cases import Skip

PROPERTY = "secondary-emulated-pci-host-bridge"
OTHER_NAME = "secondary-ioreq-pci-host-bridge"
GRANTS, HOLD = 1, 2
GIC = 0xfde8            # phandle of a guest's interrupt controller

# A guest without an operating system (tests/guest); "sb.expect=" says which test it is.
BARE_GUEST = BUILD / "arm64/tests/guest/conformance.image"

# A script in a domain has failed, or a device model that is to stay: the end of any run.
ANY_FAILED = r"dom\d+: sb: (\w+ end \S+ status [1-9]|dom0 device model ended)"

# The same without a BARE_GUEST, whose test's end is looked at more closely.
ANY_SCRIPT_FAILED = ANY_FAILED.replace(" end ", " end (?!conformance)")

# No healthy Linux says any of these, not even after it was parked.
COMPLAINTS = (r"rcu.*(stall|starved|detected)|soft lockup|hard LOCKUP|hung_task|blocked for more than|"
              r"[Cc]locksource.*unstable|clock.*(skew|went backwards)|WARNING:|nobody cared|Disabling IRQ|BUG:|"
              r"Oops|Internal error|Unable to handle|[Ss]ynchronous [Ee]xternal|SError|Bus error|Call trace|"
              r"virtio.*(fail|error|timeout)|I/O error|sb: guest module")
# Xen has found an access that nobody answers (it says so in its debug builds only).
FAULTS = r"xen: .*(HSR=0x|gva=0x|Unhandled .*abort|domain_crash|crashed)"


def binding(name=PROPERTY, *, ecam=(0x10000000, 0x100000), memory=(0x23000000, 0x1000000),
            prefetch=(0x100000000, 0x40000000), interrupts=(44, 12), flags=HOLD, more=()):
    """The property as device tree source; numbers in `more` are cells too many."""
    cells = [half for number in (*ecam, *memory, *prefetch) for half in divmod(number, 1 << 32)]
    cells += [*interrupts, flags, *more]
    return f"{name} = <{' '.join(map(hex, cells))}>;"


def plain_ranges(*bases, interrupts=(100, 1), hold_ms=30000):
    """A child node with plain ranges of a page each, for which the guest's nodes are in its partial tree."""
    return f"""ranges@{bases[0]:x} {{
        compatible = "xen,ioreq-mmio";
        reg = <{' '.join(f"0 {base:#x} 0 0x1000" for base in bases)}>;
        xen,irqs = <{interrupts[0]} {interrupts[1]}>;
        xen,hold-ms = <{hold_ms}>;
    }};"""


def partial_tree(*devices):
    """A partial device tree with virtio,mmio nodes: (address, interrupt id) each."""
    nodes = "".join(f"""
        virtio@{address:x} {{
            compatible = "virtio,mmio";
            reg = <0 {address:#x} 0 0x200>;
            interrupt-parent = <{GIC:#x}>;
            interrupts = <0 {interrupt - 32} 4>;
            dma-coherent;
        }};""" for address, interrupt in devices)
    return f"""/dts-v1/;
/ {{
    #address-cells = <2>;
    #size-cells = <2>;
    passthrough {{
        compatible = "simple-bus";
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;{nodes}
    }};
}};"""


def kernel(version):
    """The version, if it could be had; else the case is skipped."""
    if not (BUILD / "kernel" / version).is_dir():
        raise Skip(f"Debian's kernel {version} could not be had")
    return version


def ended(domain, script):
    """The pattern of a script's good end in a guest, or in dom0 (domain 0)."""
    return rf"dom{domain}: sb: {'guest' if domain else 'dom0'} end {script} status 0"


def healthy(console, *guests):
    """Failed if one of the guests ("dom1") complains, or Xen about them."""
    console.forbid(FAULTS)
    for guest in guests:
        console.forbid(rf"{guest}: .*({COMPLAINTS})")


def require_unseen_hold(console, guest, held, before="root bus resource"):
    """Failed if the guest's clock went on while it was parked for `held` seconds or more of the
    board's time: between the last line that has `before` in it and the next one of the same kind,
    its kernel's "[SECONDS] ..." or its script's "sb: ... at SECONDS s"."""
    lines = [line for line in console.lines if line.who == guest]
    at = max((n for n, line in enumerate(lines) if before in line.text), default=len(lines))
    kind = r"sb: .* at (\d+\.\d+) s" if before.startswith("sb: ") else r"\[ *(\d+\.\d+)\]"
    stamped = [(line, match) for line in lines[at:] if (match := re.match(kind, line.text))][:2]
    if len(stamped) < 2:
        raise Failed(f"{guest} has not looked for devices (console: {console.log})")
    (first, start), (last, end) = stamped
    seen = float(end[1]) - float(start[1])
    # On a busy machine both grow.
    held = max(held, last.seconds - first.seconds)
    if seen > held / 4:
        raise Failed(f"{guest} was parked for {held:.1f} s, and {seen:.1f} s went by on its clock "
                     f"(console: {console.log})")


RING_PACKED = 34        # virtio 1.2, section 6


def require_feature(console, guest, feature, wanted):
    """Failed unless the driver of the guest's first disk and the device have agreed on the feature, or have not."""
    bits = console.require(rf"{guest}: sb: guest features ([01]{{64}})")[1]
    if (bits[feature] == "1") != wanted:
        raise Failed(f"{guest}: virtio feature {feature} is {bits[feature]} (console: {console.log})")


def require_interrupts(console, guest, kind):
    """Failed unless the guest's disk was served by interrupts of this kind, "msix" or "intx", and
    of no other, as the lines of /proc/interrupts that the guest printed say."""
    counts = {"msix": 0, "intx": 0}
    for line in console.lines:
        match = re.match(r" *\d+:((?: +\d+)+) +(.*) virtio\d", line.text)
        if line.who == guest and match:
            seen = "msix" if "MSI" in match[2] else "intx" if re.search("GIC.*Level", match[2]) else None
            counts[seen] = counts.get(seen, 0) + sum(map(int, match[1].split()))
    if {seen for seen, count in counts.items() if count} != {kind}:
        raise Failed(f"{guest} should have had {kind} interrupts only, but: {counts} "
                     f"(console: {console.log})")


def random_disk(mib, name="random"):
    """A file of that many MiB of random bytes, made once and not to be written to."""
    file = BUILD / "board" / f"{name}-{mib}.img"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        with open(unfinished, "wb") as output:
            for _ in range(mib):
                output.write(os.urandom(1 << 20))
        with contextlib.suppress(FileExistsError):      # who was first has read it by now
            os.link(unfinished, file)
        unfinished.unlink()
    return file


def empty_disk(mib, name):
    """A file of that many MiB of zeroes, made anew."""
    file = BUILD / "board" / f"{name}.img"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with open(file, "wb") as output:
        output.truncate(mib << 20)
    return file


def checksum(file, kind="sha256"):
    """The host's checksum of a file."""
    digest = hashlib.new(kind)
    with open(file, "rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_checksum(console, guest, file, disk=""):
    """Failed unless the guest printed the file's sha256, as that of its disk if that has a name."""
    seen = console.require(rf"{guest}: sb: guest {disk and f'disk {disk} '}sha256 (\w+)")[1]
    expected = checksum(file)
    if seen != expected:
        raise Failed(f"{guest} read a disk with sha256 {seen}; {file} has {expected} "
                     f"(console: {console.log})")


def require_tap(console, guest):
    """Failed unless the guest's TAP is whole and every test of it passed; returns how many there were."""
    said = [line.text for line in console.lines if line.who == guest]
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


def most_mapped(console):
    """How many KiB the device model had mapped at most, as dom0's serve-and-show-maps said: of anything, and of
    grants."""
    lines = [match for line in console.lines
             if (match := re.search(r"sb: dom0 maps at most (\d+) KiB by privcmd, (\d+) KiB by gntdev", str(line)))]
    if not lines:
        raise Failed(f"dom0 has not said what the device model maps (console: {console.log})")
    return int(lines[-1][1]), int(lines[-1][2])


def require_file(console, guest, disk):
    """Failed unless the file system on the disk is clean and its file "data" has the sha256 that the guest printed;
    its size."""
    fsck = subprocess.run(["/sbin/e2fsck", "-fn", disk], capture_output=True, text=True, check=False)
    if fsck.returncode:
        raise Failed(f"e2fsck finds {disk} not clean:\n{fsck.stdout}{fsck.stderr}")
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "data"
        subprocess.run(["/sbin/debugfs", "-R", f"dump /data {copy}", disk], check=True, capture_output=True)
        require_checksum(console, guest, copy)
        return copy.stat().st_size
