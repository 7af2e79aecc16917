#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a read costs, counted in instructions of everybody involved: guest, Xen, dom0's kernel, device model.

The board has one processor, and its time is a count of instructions (Board(counted=True)); dom0 and the guest have
Linux 6.12 and nothing else to do. The disk is in dom0's memory (brd), so that nobody waits for storage. Each row of the
table is a way to that disk, and a case; bars are cases, too. A row is measured once in a run, whoever wants it.

When all has been measured the table and the picture of docs/performance.md are made anew.
"""
import re
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "testbed"))
# pylint: disable=wrong-import-position
import chart
import foreign
from board import BUILD, RELEASE, Board, Domain, Failed, Processors
from cases import case, cases_of, main
from scene import (ANY_FAILED, GRANTS, HOLD, binding, ended, healthy, kernel, partial_tree, plain_ranges, random_disk,
                   require_checksum)

PROGRAMS = [BUILD / "arm64/bench" / f"bench-{name}"
            for name in ("load", "floor", "floor-read", "not-copied", "one-byte", "ready")]
DOCUMENT = HERE.parent / "docs/performance.md"
PICTURE = DOCUMENT.with_suffix(".svg")
LINUX = "6.12"
RUNS = 3        # of a row
DISK_MIB = 16
READY_MAX = 5000000             # instructions from fork to ready, in a dom0 that has mapped something before
READY_STARTS = 3
SLOW_NS = 2000000               # for a request to dom0's slow disk
GRANTS_MAX = 1.5                # times the same without
COPIED_MAX = 1.5                # times the same with one byte for each piece
MMIO = 0x50000000               # right above a guest's 256 MiB of RAM
ENHANCED = 'xen,enhanced = "no-xenstore";'

# How the guest reads: bytes, requests under way, requests a run.
ONE, MANY, BIG = "4 KiB, depth 1", "4 KiB, depth 32", "1 MiB"
WAYS = {ONE: (4096, 1, 700), MANY: (4096, 32, 700), BIG: (1 << 20, 1, 70)}


@dataclass(frozen=True)
class Row:
    """A way to a disk. Who serves it is in dom0/serve-row."""
    title: str                  # in the document
    kind: str = "ours"          # of its bars in the picture
    disk: str = "vda"           # the guest's
    linux: str = LINUX          # the guest's
    properties: str = binding(flags=HOLD)       # of the guest's node in the host device tree
    partial: str = ""           # the guest's partial device tree
    modules: tuple = ()         # more for the guest
    real: bool = True           # what is read is what is on dom0's disk
    xenstore: bool = False      # wants xenstored in dom0
    qemu: Path = None           # wants it in dom0, and xenstored
    spread: float = 0.01        # how much its runs may differ
    requests: float = 1         # so many times as many: fewer where each takes long, more where it takes little


WITH_GRANTS = ENHANCED + binding(flags=GRANTS | HOLD)
WITH_QEMU = binding(ecam=foreign.ECAM, memory=foreign.MEMORY, interrupts=(44, 4), flags=HOLD)
ROWS = {
    "qemu": Row("QEMU 10 `xenpvh`, as released", "others", properties=WITH_QEMU, qemu=foreign.QEMU, requests=1 / 7),
    "qemu-kept": Row("QEMU 10, changed to keep its mappings", "others", properties=WITH_QEMU, qemu=foreign.KEPT,
                     spread=0.2),       # 15 % were seen at depth 32
    "xen-block": Row("Xen's own PV block: blkfront, blkback", "others", disk="xvda",
                     properties="xen,enhanced;", modules=("xen-blkfront",), xenstore=True),
    "mmio": Row("sidebridge-dm, virtio-mmio in plain ranges", properties=plain_ranges(MMIO),
                partial=partial_tree((MMIO, 100))),
    "intx": Row("sidebridge-dm, INTx"),
    "msix": Row("**sidebridge-dm, MSI-X and doorbell**"),
    "floor-read": Row("the same, nothing around the read", "limit"),
    "floor": Row("the same, nothing transferred", "limit", real=False, requests=2),
    "own": Row("the guest's own disk, in its own memory", "limit", disk="ram0", properties="", modules=("brd",),
               real=False),
    # With a kernel that knows grants, which is another one.
    "no-grants": Row("sidebridge-dm, another guest kernel", linux="6.1-grants",
                     properties=ENHANCED + binding(flags=HOLD)),
    "grants": Row("the same kernel, GRANTS", linux="6.1-grants", properties=WITH_GRANTS,
                  spread=0.02),      # 1.2 % were seen at 1 MiB
    "one-byte": Row("the same, one byte for each piece", "limit", linux="6.1-grants", properties=WITH_GRANTS,
                    real=False, spread=0.02),      # 1.7 % at 1 MiB
    "not-copied": Row("the same, nothing copied", "limit", linux="6.1-grants", properties=WITH_GRANTS, real=False,
                      spread=0.05),    # 4.3 % at 1 MiB
}


# What GRANTS cost: each of these does what the one before does, and what is said of it.
STEPS = {
    "no-grants": "a read without GRANTS",
    "not-copied": "the guest grants three pieces, and takes its grants back",
    "one-byte": "dom0's kernel pins a page for each piece, and tells Xen to copy it",
    "grants": "Xen looks for the pages of each piece, and copies it",
}


@dataclass
class Figures:
    """Of a row."""
    cost: dict          # way: instructions a request
    resident_kib: int   # of the device model's process; 0: there is none


def files(role):
    """What dom0 or the guest needs beyond the testbed's own."""
    return [*((script, f"tests/{script.name}") for script in sorted((HERE / role).iterdir())),
            *((program, f"bin/{program.name}") for program in PROGRAMS[:None if role == "dom0" else 1])]


def boot(name, guest, row=Row(""), modules=()):
    """The guest does what it has to, if anything; then dom0 has its say."""
    told = foreign.Arguments(f"bench-{name}")
    foreigners = row.qemu or row.xenstore
    more = [*foreign.files(row.qemu), *told.files()] if foreigners else []
    loaded = ["brd", *(["xenfs", "xen-blkback"] if foreigners else []), *modules]
    board = Board(f"bench-{name}", [guest], counted=True, dom0_kernel=kernel(LINUX), dom0_run="serve-row",
                  xen=RELEASE, dom0_words=f"sb.row={name}", dom0_modules=loaded, dom0_add=[*files("dom0"), *more],
                  disks={"disk": random_disk(DISK_MIB)}, timeout=3600)
    if row.qemu:
        told.write(board)
    console = board.run(until=[ended(0, "serve-row"), ended(1, guest.run) if guest.run else "dom1: sb: guest idle"],
                        unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require_order("dom1: sb: guest idle", "dom0: sb: dom0 end")
    return console


def reads(row, way):
    """How many a run has."""
    return round(WAYS[way][2] * row.requests)


def plan(row, *ways):
    """The guest's words."""
    wanted = ",".join(f"{WAYS[way][0]}:{WAYS[way][1]}:{reads(row, way)}" for way in ways)
    return f"sb.disk={row.disk} sb.plan={wanted}"


def cost_of(console, row, way):
    """Instructions a request: the median of the runs, which hardly differ."""
    said = rf"sb: guest load {WAYS[way][0]} bytes depth {WAYS[way][1]}: {reads(row, way)} reads took (\d+) ns"
    runs = [int(match[1]) / reads(row, way) for line in console.lines if (match := re.match(said, line.text))]
    if len(runs) != RUNS:
        raise Failed(f"{way} was measured {len(runs)} times, not {RUNS} (console: {console.log})")
    if max(runs) - min(runs) > row.spread * statistics.median(runs):
        raise Failed(f"{way}: the runs differ: {runs} (console: {console.log})")
    return statistics.median(runs)


def measure(name):
    """Boots for a row; its figures."""
    row = ROWS[name]
    words = plan(row, *WAYS) + (" sb.sum=1" if row.real else " sb.fill=1" if row.disk == "ram0" else "")
    guest = Domain(kernel=kernel(row.linux), run="read-row", words=words, properties=row.properties,
                   partial=row.partial, modules=list(row.modules), add=files("guest"))
    console = boot(name, guest, row)
    if row.real:
        require_checksum(console, "dom1", random_disk(DISK_MIB))
    resident = console.find(r"dom0: sb: dom0 VmRSS (\d+) kB")
    return Figures({way: cost_of(console, row, way) for way in WAYS}, int(resident[1]) if resident else 0)


_pool = ThreadPoolExecutor(max_workers=Processors.COUNT)
_begun = {}


def begin(*names):
    """As many at once as there are processors: a board has one, and counts whatever the others do."""
    for name in names:
        if name not in _begun:
            _begun[name] = _pool.submit(measure, name)


def figures(name):
    """Of a row, measured now if they have not been."""
    begin(name)
    return _begun[name].result()


def show(name):
    """A row as a case."""
    costs = ", ".join(f"{way}: {cost / 1000:.1f}" for way, cost in figures(name).cost.items())
    print(f"# {name}: thousand instructions a read: {costs}; {figures(name).resident_kib} KiB resident", flush=True)


cases_of(ROWS, show)


def ratio(name, other, way):
    """What a request of one row costs, in times that of another."""
    begin(name, other)
    return figures(name).cost[way] / figures(other).cost[way]


def require_near(name, other, way, most):
    """Failed if a request of one row costs more than `most` times that of another."""
    times = ratio(name, other, way)
    print(f"# {way}: {name} costs {times:.3f} times {other}; bar {most}", flush=True)
    if times > most:
        raise Failed(f"{way}: {name} costs {times:.3f} times {other}, more than {most}")


@case
def depth_1_near_the_floor():
    """All that the event loop and the disk cost, the read itself included."""
    require_near("msix", "floor", ONE, 1.08)


@case
def depth_32_near_the_floor():
    """The floor that reads: one read(2) costs a third of what the rest of a request does when there are many."""
    require_near("msix", "floor-read", MANY, 1.05)


@case
def grants_depth_1():
    """Granting each buffer, and getting at it, costs at most half of a request more."""
    require_near("grants", "no-grants", ONE, GRANTS_MAX)


@case
def grants_depth_32():
    """The same when there are many, unless nobody can: then what is added to what nobody can leave out is bounded."""
    begin(*STEPS)
    print("".join(f"# {line}\n" for line in steps().splitlines()), end="", flush=True)
    if ratio("one-byte", "no-grants", MANY) < GRANTS_MAX:
        require_near("grants", "no-grants", MANY, GRANTS_MAX)
    else:
        require_near("grants", "one-byte", MANY, COPIED_MAX)


@case
def quiet_while_requests_are_in_flight():
    """A disk that takes its time, 32 requests under way: the guest rings less than once in 8. The device model's page
    cache has nothing of it."""
    row = Row("", real=False)
    guest = Domain(kernel=kernel(LINUX), run="read-row", words=plan(row, MANY) + " sb.fresh=1",
                   properties=row.properties, add=files("guest"))
    console = boot("slow", guest, modules=["null_blk"])
    rung = int(console.require(r"dom0: sb: dom0 counts doorbells rung: (\d+)")[1])
    total = RUNS * reads(row, MANY)
    cost = cost_of(console, row, MANY)
    if cost < SLOW_NS / WAYS[MANY][1]:
        raise Failed(f"a read took {cost:.0f} ns: the disk takes longer (console: {console.log})")
    print(f"# {total} reads, of {cost:.0f} ns, rang {rung} doorbells", flush=True)
    if rung * 8 > total:
        raise Failed(f"{total} reads rang {rung} doorbells, more than one in 8 (console: {console.log})")


@case
def ready_soon():
    """From fork to ready, each time; what dom0's kernel has to do when it maps something for the first time is counted
    apart."""
    console = boot("ready", Domain(kernel=kernel(LINUX), properties=binding(flags=0)))
    said = r"sb: dom0 ready after (\d+) ns"
    starts = [int(match[1]) for line in console.lines if (match := re.match(said, line.text))]
    mapped = console.require(r"sb: dom0 has mapped a page after (\d+) ns")[1]
    print(f"# ready after {starts} instructions, and {mapped} before for the first page mapped; bar {READY_MAX}",
          flush=True)
    if len(starts) != READY_STARTS or max(starts) > READY_MAX:
        raise Failed(f"ready after {starts} instructions (console: {console.log})")


def steps():
    """Of the document: what GRANTS cost at depth 32, in thousands of instructions, and in times what a read costs
    without."""
    lines, before = ["| at depth 32 | more | in all | times |", "|---|---:|---:|---:|"], 0
    for name, what in STEPS.items():
        cost = figures(name).cost[MANY] / 1000
        lines.append(f"| {what} | {cost - before:.1f} | {cost:.1f} | {ratio(name, 'no-grants', MANY):.2f} |")
        before = cost
    return "\n".join(lines)


def table():
    """Of the document, in thousands of instructions."""
    lines = ["| the guest's disk | " + " | ".join(WAYS) + " | resident |", "|---|" + "---:|" * (len(WAYS) + 1)]
    for name, row in ROWS.items():
        costs = [f"{figures(name).cost[way] / 1000:,.1f}" for way in WAYS]
        resident = figures(name).resident_kib
        lines.append(f"| {row.title} | {' | '.join(costs)} | {f'{resident / 1024:.1f} MiB' if resident else ''} |")
    return "\n".join(lines)


@case
def document():
    """docs/performance.md has the figures of this run, and so has its picture."""
    begin(*ROWS)
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, lines in (("table", table()), ("steps", steps())):
        text, changed = re.subn(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)", rf"\1\n{lines}\n\n\2", text,
                                flags=re.S)
        if changed != 1:
            raise Failed(f"{DOCUMENT} has no place for the {name}")
    DOCUMENT.write_text(text, encoding="utf-8")
    panels = [(way, [(re.sub(r"[*`]", "", row.title), figures(name).cost[way] / 1000, row.kind)
                     for name, row in ROWS.items()]) for way in WAYS]
    PICTURE.write_text(chart.bars("Thousands of instructions a read", panels), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        begin(*ROWS)
    main(at_once=False)
