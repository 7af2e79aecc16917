# SPDX-License-Identifier: BSD-2-Clause
"""Boots Xen, dom0 and dom0less guests on QEMU's "virt" board, and listens.

    from board import Board, Domain
    guest = Domain(run="read-disk", properties="sidebridge-property = <...>;")
    console = Board("one-disk", domains=[guest], dom0_run="serve-disk",
                    disks={"disk0": path}).run(until=[r"dom1: sb: guest end read-disk status 0"])

The host device tree is QEMU's own, with /chosen written here (device_tree()).
Modules (kernels, initramfs) are put into RAM by QEMU's loader; a file that is used
twice, such as one kernel for dom0 and for guests, is loaded once.

The console is kept in build/logs/NAME.log, each line with the seconds since the
start, as it came. run() takes it apart into lines (time, who, text): who is
"xen", "dom0", "dom1"... The first two share one stream, and Xen may break into a
line of dom0's; the pieces are joined again.

A run ends when every pattern of `until` was seen, when one of `unless` was, when
QEMU ends, or at the timeout, and QEMU is gone when run() returns or raises.
"""
import ctypes
import fcntl
import os
import re
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import initramfs
from initramfs import BUILD, Missing

VERSION = re.search(r"^ *version: '([^']+)'", (BUILD.parent / "meson.build").read_text(encoding="utf-8"), re.M)[1]
DOM0_PROGRAMS = (BUILD / "arm64/dm/sidebridge-dm", BUILD / "arm64/tests/system/sb-xen")     # in its /bin
# What testbed/build-xen makes.
HYPERVISOR = BUILD / ("xen-src-obj" if os.environ.get("XEN_SRC") else "xen-obj") / "xen"
RELEASE = HYPERVISOR.parent.with_name(f"{HYPERVISOR.parent.name}-release") / "xen"      # with --release
MODULES_BASE = 0x58000000       # above Xen (at 0x40200000) and the device tree (at 0x48000000)
MODULE_ALIGN = 2 << 20

# Never part of a good run.
DISASTERS = (r"xen: .*Panic on CPU", r"xen: .*Assertion .* failed", r"xen: .*Xen BUG at",
             r"dom\d+: .*Kernel panic",
             # The device model has made a system call that dm/sandbox.c does not know: the line has its number.
             r"dom0: .*audit: type=1326 .*sidebridge-dm")

# dom0 stays on its processors: QEMU's GICv2 loses an interrupt of the board that one processor
# has taken and another one, to which Xen has moved dom0 meanwhile, deactivates.
XEN_ARGUMENTS = ("console=dtuart dom0_mem={dom0_mib}M dom0_max_vcpus={dom0_cpus} dom0_vcpus_pin "
                 "serial_tx_buffer=1M loglvl=all guest_loglvl=all")
LINUX_ARGUMENTS = "rdinit=/init panic=1 ignore_loglevel printk.devkmsg=on"


class Failed(Exception):
    """A run that did not do what was expected; the text says what, and where the log is."""


def compile_tree(text, blob):
    """Device tree source to blob; the source is kept beside it."""
    source = blob.with_suffix(".dts")
    source.write_text(text)
    done = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", blob, source],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"dtc refuses {source}: {done.stderr.strip()}")


@dataclass
class Domain:
    """A dom0less guest. Its domid is its place in Board.domains, from 1."""
    kernel: str = "6.1"         # a directory of build/kernel
    memory_mib: int = 256
    cpus: int = 1
    run: str = ""               # a script of tests/system/guest
    words: str = ""             # more for its command line: "sb.KEY=VALUE ..."
    properties: str = ""        # device tree source: more properties and nodes of its node
    partial: str = ""           # device tree source: its partial device tree, for passthrough
    add: list = field(default_factory=list)     # (file on the host, path inside) for its initramfs
    modules: list = field(default_factory=list)     # more kernel modules for its initramfs, by name
    image: Path = None          # a program instead of the kernel, without initramfs; run, add and modules are not used


@dataclass
class Line:
    """One line of the console."""
    seconds: float
    who: str
    text: str

    def __str__(self):
        return f"{self.who}: {self.text}"


class Console:
    """What a run said."""

    def __init__(self, log):
        self.log = log
        self.lines = []
        self._partial = b""
        self._dom0_fragment = ""

    def feed(self, data, seconds):
        """Takes bytes in; returns (raw line, Line or None) for each that is complete."""
        *complete, self._partial = (self._partial + data).split(b"\n")
        result = []
        for raw in complete:
            text = raw.decode(errors="replace").rstrip("\r")
            result.append((text, self._classify(text, seconds)))
        return result

    def _classify(self, text, seconds):
        before, mark, after = text.partition("(XEN) ")
        if not mark:
            line = Line(seconds, "dom0", self._dom0_fragment + text)
            self._dom0_fragment = ""
        else:
            self._dom0_fragment += before
            guest = re.match(r"DOM(\d+): ?(.*)", after)
            line = (Line(seconds, "dom" + guest[1], guest[2]) if guest
                    else Line(seconds, "xen", after))
        line.text = line.text.replace("\r", "")
        self.lines.append(line)
        return line

    def find(self, pattern):
        """The match of the first line for which re.search(pattern, "who: text") holds, or None."""
        return next((match for line in self.lines
                     if (match := re.search(pattern, str(line)))), None)

    def require(self, pattern):
        """find(), and Failed if there is none."""
        return self.find(pattern) or self._fail(f"no line matches {pattern!r}")

    def forbid(self, pattern):
        """Failed if a line matches."""
        if match := self.find(pattern):
            self._fail(f"unwanted: {match.string!r}")

    def require_order(self, *patterns):
        """Failed unless, for each pattern, its first line comes after that of the pattern before."""
        at = -1
        for pattern in patterns:
            line = next((n for n, line in enumerate(self.lines) if re.search(pattern, str(line))), None)
            if line is None or line <= at:
                self._fail(f"{pattern!r} " + ("is nowhere" if line is None else "comes too early"))
            at = line

    def _fail(self, what):
        raise Failed(f"{what} (console: {self.log})")


class Board:
    """One boot. Give it a name of its own: files below build/board and the log have it."""

    def __init__(self, name, domains=(), *, gic=3, cpus=2, counted=False,
                 dom0_kernel="6.1", dom0_mib=768, dom0_cpus=1, dom0_run="", dom0_words="",
                 dom0_add=(), dom0_modules=(), disks=None, xen=None, xen_words="", chosen="", tree="",
                 timeout=400):
        """counted: one CPU, and time is a count of instructions (-icount), whatever the load; of
        1 ns each, or of any other power of two: what waits for time needs less of ours then.
        disks: {name: raw file}, dom0's /dev/disk/NAME. xen: a hypervisor other than
        HYPERVISOR. chosen, tree: device tree source added to /chosen, at the end.
        timeout: seconds of the host's time."""
        self.name, self.domains, self.gic = name, list(domains), gic
        self.cpus, self.counted = (1 if counted else cpus), int(counted)
        self.dom0 = Domain(kernel=dom0_kernel, memory_mib=dom0_mib, cpus=dom0_cpus, run=dom0_run,
                           words=dom0_words, add=list(dom0_add), modules=list(dom0_modules))
        self.disks = disks or {}
        self.xen = Path(xen or HYPERVISOR)
        self.xen_words, self.chosen, self.tree = xen_words, chosen, tree
        self.timeout = timeout
        self.directory = BUILD / "board" / name
        self.log = BUILD / "logs" / f"{name}.log"
        self.console = Console(self.log)
        self._modules = {}          # file -> (address, size)

    # What the board is made of

    def _machine(self):
        ram = self.dom0.memory_mib + sum(d.memory_mib for d in self.domains) + 768
        machine = ["qemu-system-aarch64",
                   "-machine", f"virt,virtualization=on,gic-version={self.gic}",
                   "-cpu", "cortex-a57", "-smp", str(self.cpus), "-m", f"{ram}M",
                   "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none",
                   "-no-reboot"]
        if self.counted:
            machine += ["-icount", f"shift={self.counted.bit_length() - 1},sleep=off"]
        for name, file in self.disks.items():
            # Two boards at once may read the same file.
            machine += ["-drive", f"if=none,format=raw,id={name},file={file},file.locking=off",
                        "-device", f"virtio-blk-device,drive={name},serial={name}"]
        return machine

    def _module(self, file):
        """Address and size at which a file is loaded."""
        if file not in self._modules:
            end = MODULES_BASE
            for address, size in self._modules.values():
                end = max(end, address + size)
            self._modules[file] = (-(-end // MODULE_ALIGN) * MODULE_ALIGN, file.stat().st_size)
        return self._modules[file]

    def _linux(self, domain, role, number, console):
        """Command line and modules of a domain with a Linux."""
        archive = self.directory / f"dom{number}.cpio"
        add = list(domain.add)
        if role == "dom0":
            add += [(program, f"bin/{program.name}") for program in DOM0_PROGRAMS if program.exists()]
        archive.write_bytes(initramfs.build(role, domain.kernel, add, domain.modules))
        words = [console, LINUX_ARGUMENTS, domain.words]
        if domain.run:
            words.append(f"sb.run={domain.run}")
        return " ".join(filter(None, words)), [("kernel", initramfs.kernel_directory(domain.kernel) / "Image"),
                                               ("ramdisk", archive)]

    def _module_nodes(self, domain, role, number, console):
        if not domain.image:
            arguments, files = self._linux(domain, role, number, console)
        elif domain.image.exists():
            arguments, files = domain.words, [("kernel", domain.image)]
        else:
            raise Missing(f"no {domain.image}: run testbed/build-arm64")
        if domain.partial:
            files.append(("device-tree", self.directory / f"dom{number}.dtb"))
            compile_tree(domain.partial, files[-1][1])
        nodes = []
        for kind, file in files:
            address, size = self._module(file)
            nodes.append(f'{kind}@{address:x} {{ compatible = "multiboot,{kind}", '
                         f'"multiboot,module"; reg = <0 {address:#x} 0 {size:#x}>;')
            if kind == "kernel" and role == "guest":
                nodes.append(f'bootargs = "{arguments}";')
            nodes.append("};")
        return arguments, "\n".join(nodes)

    def qemu_tree(self):
        """The file of QEMU's own device tree, made anew."""
        blob = self.directory / "qemu.dtb"
        machine = self._machine()
        machine[2] += f",dumpdtb={blob}"
        done = subprocess.run(machine, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"QEMU does not make its device tree: {done.stderr.strip()}")
        return blob

    def device_tree(self):
        """The host's tree as source: QEMU's own, then ours. Writes the initramfs files too."""
        source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", self.qemu_tree()], check=True,
                                capture_output=True, text=True).stdout
        dom0_arguments, dom0_nodes = self._module_nodes(self.dom0, "dom0", 0, "console=hvc0")
        xen_arguments = " ".join([XEN_ARGUMENTS.format(dom0_mib=self.dom0.memory_mib,
                                                       dom0_cpus=self.dom0.cpus),
                                  self.xen_words]).strip()
        guests = []
        for number, domain in enumerate(self.domains, 1):
            _, nodes = self._module_nodes(domain, "guest", number, "console=ttyAMA0")
            guests.append(f"""
domU{number} {{
    compatible = "xen,domain";
    #address-cells = <2>;
    #size-cells = <2>;
    cpus = <{domain.cpus}>;
    memory = <0 {domain.memory_mib * 1024:#x}>;
    vpl011;
    {domain.properties}
    {nodes}
}};""")
        return f"""{source}
/ {{ chosen {{
    #address-cells = <2>;
    #size-cells = <2>;
    xen,xen-bootargs = "{xen_arguments}";
    xen,dom0-bootargs = "{dom0_arguments}";
    {dom0_nodes}
    {"".join(guests)}
    {self.chosen}
}}; }};
{self.tree}
"""

    def prepare(self):
        """Writes what the board is made of (host.dtb...); returns the command line of QEMU."""
        if not self.xen.exists():
            release = " and testbed/build-xen --release" if self.xen == RELEASE else ""
            raise Missing(f"no hypervisor in {self.xen}: run testbed/setup{release}")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._modules = {}
        blob = self.directory / "host.dtb"
        compile_tree(self.device_tree(), blob)
        command = self._machine() + ["-kernel", self.xen, "-dtb", blob]
        for file, (address, _) in self._modules.items():
            command += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
        return command

    # Running it

    _preparing = threading.Lock()       # a lot of memory is needed for a moment

    def run(self, until, unless=(), follow=None, disasters=DISASTERS):
        """Boots, and returns the Console once every pattern of `until` was seen (in any order;
        re.search over "who: text"). Raises Failed in any other case, such as a line that
        matches one of `unless` or of `disasters`, which are given where one of them is wanted.
        follow: called with each Line as it comes."""
        with self._preparing:
            command = self.prepare()
        self.console = Console(self.log)
        missing = [re.compile(pattern) for pattern in until]
        fatal = [re.compile(pattern) for pattern in (*unless, *disasters)]
        with (Processors(self.cpus), open(self.log, "w", encoding="utf-8") as log, Qemu(command) as qemu):
            start = time.monotonic()
            reason = f"timeout after {self.timeout} s"
            deadline = start + self.timeout
            while missing and time.monotonic() < deadline:
                data = qemu.read(deadline - time.monotonic())
                if data is None:
                    continue
                seconds = time.monotonic() - start
                for raw, line in self.console.feed(data or b"\n", seconds):
                    log.write(f"[{seconds:8.3f}] {raw}\n")
                    if follow:
                        follow(line)
                    text = str(line)
                    missing = [pattern for pattern in missing if not pattern.search(text)]
                    bad = next((pattern for pattern in fatal if pattern.search(text)), None)
                    if bad:
                        # What explains a disaster often comes right after it.
                        reason, fatal = f"unwanted: {text!r}", []
                        deadline = min(deadline, time.monotonic() + 2)
                log.flush()
                if not data:
                    reason = "QEMU ended: " + (qemu.complaint() or "the board was switched off")
                    break
        if missing or reason.startswith("unwanted"):
            waiting = ", ".join(repr(pattern.pattern) for pattern in missing)
            raise Failed(f"{reason}; not seen: {waiting or 'nothing'} (console: {self.log})")
        return self.console


class Processors:
    """Some of this machine's processors, for as long as the with statement lasts: boards of several processes and
    threads at once, as ./check runs them, do not take them from each other, or what a board measures in real time would
    be the others'. Who wants all of them gets them when nobody wants fewer, so that none is idle before; else who came
    first gets his first. They are given back when this process dies, however it does."""

    PLACES = BUILD / "processors"       # files to lock: one for each, one for all of them, one for whose turn it is
    LIMIT = "SIDEBRIDGE_PROCESSORS"     # in the environment: no more than so many
    COUNT = min(len(os.sched_getaffinity(0)), int(os.environ.get(LIMIT, 1 << 16)))
    _waited = threading.local()

    def __init__(self, wanted):
        self._wanted = min(wanted, self.COUNT)
        self._held = []

    @classmethod
    def waited(cls):
        """Seconds that this thread has waited for some until now."""
        return getattr(cls._waited, "seconds", 0)

    def __enter__(self):
        start = time.monotonic()
        self.PLACES.mkdir(parents=True, exist_ok=True)
        if 1 < self.COUNT == self._wanted:
            self._lock("all", fcntl.LOCK_EX)
        else:
            self._lock("all", fcntl.LOCK_SH)
            self._take()
        self._waited.seconds = self.waited() + time.monotonic() - start
        return self

    def _take(self):
        with open(self.PLACES / "turn", "w", encoding="utf-8") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            missing = self._wanted
            while missing:
                for number in range(self.COUNT):
                    if missing and self._lock(str(number), fcntl.LOCK_EX | fcntl.LOCK_NB):
                        missing -= 1
                if missing:
                    time.sleep(0.1)

    def _lock(self, name, how):
        """False: somebody else has it."""
        file = open(self.PLACES / name, "w", encoding="utf-8")      # pylint: disable=consider-using-with
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            file.close()
            return False
        self._held.append(file)
        return True

    def __exit__(self, *_):
        for file in self._held:
            file.close()
        self._held = []


class Qemu:
    """A QEMU process that ends when the with statement does, or when this process dies."""

    def __init__(self, command):
        self._command = [str(word) for word in command]
        self._process = None
        self._handler = None

    def __enter__(self):
        libc = ctypes.CDLL(None)
        parent = os.getpid()

        def die_with_parent():
            libc.prctl(1, signal.SIGKILL)       # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(1)

        def stop(number, _frame):
            raise SystemExit(128 + number)

        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, stop)
        # pylint: disable=subprocess-popen-preexec-fn, consider-using-with
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         preexec_fn=die_with_parent)
        return self

    def read(self, seconds):
        """Bytes of the console; None if there were none for that long, b"" at the end."""
        ready, _, _ = select.select([self._process.stdout], [], [], max(seconds, 0))
        return os.read(self._process.stdout.fileno(), 65536) if ready else None

    def complaint(self):
        """What QEMU itself had to say, once it has ended."""
        self._process.wait()
        return self._process.stderr.read().decode(errors="replace").strip()

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
