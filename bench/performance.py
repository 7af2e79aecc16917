#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a read costs, counted in instructions of everybody involved: guest, Xen, dom0's kernel, device model.

The board has one processor, and its time is a count of instructions (Board(counted=True)); dom0 and the guest have
Linux 6.12 and nothing else to do. The disk is in dom0's memory (brd), so that nobody waits for storage. Each row of the
table is a way to that disk, and a case; bars are cases, too. A row is measured once in a run, whoever wants it.
"""
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, Board, Domain, Failed
from cases import case, cases_of, main
from scene import ANY_FAILED, HOLD, binding, ended, healthy, kernel, random_disk, require_checksum

LOAD, *FLOORS = (BUILD / "arm64/bench" / name for name in ("bench-load", "bench-floor", "bench-floor-read"))
LINUX = "6.12"
SPREAD_MAX = 0.01       # of the runs of a row

# How the guest reads: bytes, requests under way, requests.
WAYS = {"4 KiB, depth 1": (4096, 1, 2000), "4 KiB, depth 32": (4096, 32, 2000), "1 MiB": (1 << 20, 1, 200)}


@dataclass(frozen=True)
class Row:
    """A way to a disk."""
    disk: str = "vda"           # the guest's
    properties: str = binding(flags=HOLD)       # of the guest's node in the host device tree
    real: bool = True           # what is read is what is on dom0's disk
    own: bool = False           # the guest's own: in its memory, and nobody else has to do with it


# Who serves which is in dom0/serve-row.
ROWS = {
    "own": Row(disk="ram0", properties="", real=False, own=True),
    "floor": Row(real=False),
    "floor-read": Row(),
    "msix": Row(),
    "intx": Row(),
}


@dataclass
class Figures:
    """Of a row."""
    cost: dict          # way: instructions a request
    resident_kib: int   # of the device model's process; 0: there is none


def files(role, *programs):
    """What dom0 or the guest needs beyond the testbed's own."""
    return [*((script, f"tests/{script.name}") for script in sorted((HERE / role).iterdir())),
            *((program, f"bin/{program.name}") for program in programs)]


def boot(name, guest, *dom0_words):
    """The guest does what it has to; then dom0 has its say."""
    console = Board(f"bench-{name}", [guest], counted=True, dom0_kernel=kernel(LINUX), dom0_run="serve-row",
                    dom0_words=" ".join(dom0_words), dom0_modules=["brd"], dom0_add=files("dom0", LOAD, *FLOORS),
                    disks={"disk": random_disk(16)}, timeout=1800).run(
        until=[ended(0, "serve-row"), ended(1, guest.run)], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require_order("dom1: sb: guest end", "dom0: sb: dom0 end")
    return console


def cost_of(console, way):
    """Instructions a request: the median of the runs, which hardly differ."""
    size, depth, count = WAYS[way]
    said = rf"sb: guest load {size} bytes depth {depth}: {count} reads took (\d+) ns"
    runs = [int(match[1]) / count for line in console.lines if (match := re.match(said, line.text))]
    if len(runs) != 3:
        raise Failed(f"{way} was measured {len(runs)} times, not 3 (console: {console.log})")
    if max(runs) - min(runs) > SPREAD_MAX * statistics.median(runs):
        raise Failed(f"{way}: the runs differ: {runs} (console: {console.log})")
    return statistics.median(runs)


def measure(name):
    """Boots for a row; its figures."""
    row = ROWS[name]
    words = [f"sb.disk={row.disk}", "sb.plan=" + ",".join(":".join(map(str, way)) for way in WAYS.values())]
    words.append("sb.sum=1" if row.real else "sb.fill=1" if row.own else "")
    guest = Domain(kernel=kernel(LINUX), run="read-row", words=" ".join(words), properties=row.properties,
                   modules=["brd"] if row.own else [], add=files("guest", LOAD))
    console = boot(name, guest, f"sb.row={name}")
    if row.real:
        require_checksum(console, "dom1", random_disk(16))
    resident = console.find(r"dom0: sb: dom0 VmRSS (\d+) kB")
    return Figures({way: cost_of(console, way) for way in WAYS}, int(resident[1]) if resident else 0)


_figures = {}


def figures(name):
    """Of a row, measured now if they have not been."""
    if name not in _figures:
        _figures[name] = measure(name)
        costs = ", ".join(f"{way}: {cost / 1000:.1f}" for way, cost in _figures[name].cost.items())
        print(f"# {name}: thousand instructions a read: {costs}; {_figures[name].resident_kib} KiB resident", flush=True)
    return _figures[name]


cases_of(ROWS, figures)


def require_near(name, other, way, most):
    """Failed if a request of one row costs more than `most` times that of another."""
    ratio = figures(name).cost[way] / figures(other).cost[way]
    print(f"# {way}: {name} costs {ratio:.3f} times {other}; bar {most}", flush=True)
    if ratio > most:
        raise Failed(f"{way}: {name} costs {ratio:.3f} times {other}, more than {most}")


@case
def depth_1_near_the_floor():
    """All that the event loop and the disk cost, the read itself included."""
    require_near("msix", "floor", "4 KiB, depth 1", 1.08)


@case
def depth_32_near_the_floor():
    """The floor that reads: one read(2) costs a third of what the rest of a request does when there are many."""
    require_near("msix", "floor-read", "4 KiB, depth 32", 1.05)


if __name__ == "__main__":
    main()
