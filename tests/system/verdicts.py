#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `sidebridge` says on the desk comes true on the board: which domains start and what their guests find, and which
tree makes Xen panic while it builds a domain, or die before it can, which is the end of the boot for all of them.
binding.py has the bindings for which Xen and the tool have the same words.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import BUILD, MODULES_BASE, Board, Domain, Failed, compile_tree
from cases import Skip, cases_of, case, main
from scene import ANY_FAILED, BARE_GUEST, GRANTS, binding, ended, healthy

TOOL = BUILD / "native/tool/sidebridge"
VERSION = "4.22" if os.environ.get("XEN_SRC") else "4.17"


def tool_says(board, command="check", *operands, file="host.dtb"):
    """The tool's document about the board's host device tree."""
    if not TOOL.exists():
        raise Skip(f"{TOOL} is not built: ./check builds it")
    done = subprocess.run([TOOL, command, "--json", "--xen", VERSION, board.directory / file, *operands],
                          capture_output=True, text=True, check=False)
    (said,) = json.loads(done.stdout)["files"]
    return said


def bare(properties="", **more):
    """A guest of which nothing is asked but that it starts, and finds its bus empty."""
    return Domain(image=BARE_GUEST, **{"memory_mib": 32, **more}, words="sb.expect=nobody", properties=properties)


def amend(properties, domain=1):
    """Device tree source that gives a domain other properties than it has."""
    return f"/ {{ chosen {{ domU{domain} {{ {properties} }}; }}; }};"


# 256 MiB of the board's RAM, above what QEMU's loader puts there, and no device's windows.
RAM = (0x90000000, 0x10000000)
DIRECT_MAP = f"direct-map; xen,static-mem = <0 {RAM[0]:#x} 0 {RAM[1]:#x}>;"
HOLES = {"ecam": (0xf000000, 0x100000), "memory": (0xf800000, 0x800000), "prefetch": (0x1000000000, 0x40000000)}


def other_back_end(backend):
    """A bridge that a domain other than dom0 is to serve."""
    return f"""bridge@10000000 {{
        compatible = "xen,ioreq-pci-host-bridge";
        reg-names = "ecam", "memory";
        reg = <0 0x10000000 0 0x100000 0 0x23000000 0 0x1000000>;
        xen,irqs = <44 12>;
        xen,backend = <{backend}>;
    }};"""


def seen_tree(console, guest):
    """The guest's nodes as show-tree printed them: {node: {property: bytes}}."""
    nodes = {}
    for line in console.lines:
        match = re.match(r"sb: guest tree ([^/]+)/(\S+) *([0-9a-f]*)$", line.text)
        if line.who == guest and match:
            node = nodes.setdefault(match[1], {})
            node[match[2]] = node.get(match[2], b"") + bytes.fromhex(match[3])
    return nodes


def value_bytes(value):
    """A property of the tool's tree as a device tree has it."""
    if value is True:
        return b""
    if isinstance(value[0], str):
        return b"".join(text.encode() + b"\0" for text in value)
    return b"".join(cell.to_bytes(4, "big") for cell in value)


def require_same_nodes(board, console, domain):
    """Failed unless the guest has found the nodes that `sidebridge node` prints, property by property."""
    tree = tool_says(board, "node", str(domain), file="mended.dtb")["domains"][domain - 1]["tree"]
    expected = {name: {key: value_bytes(value) for key, value in node["properties"].items()}
                for name, node in tree["nodes"].items() if not name.startswith("memory@")}
    seen = seen_tree(console, f"dom{domain}")
    for nodes in seen.values():
        for ours in ("name", "linux,phandle"):      # which Linux, and which Xen writes beside "phandle"
            nodes.pop(ours, None)
    if seen.keys() != expected.keys():
        raise Failed(f"dom{domain} has the nodes {sorted(seen)}, not {sorted(expected)} (console: {console.log})")
    for name, properties in expected.items():
        different = {key: (seen[name].get(key, b"-").hex(), properties.get(key, b"-").hex())
                     for key in seen[name].keys() | properties.keys() if seen[name].get(key) != properties.get(key)}
        if different:
            raise Failed(f"dom{domain}, {name}: seen, and told by the tool: {different} (console: {console.log})")


@case
def those_that_start():
    """Static memory, a direct-mapped guest with the board's GIC and UART, a back end that is not there, and a spelling
    that only Xen 4.22 knows, all in one boot: who starts is who the tool says, with that domain id, and what the guests
    find is what it prints."""
    legacy = binding(flags=GRANTS) + 'xen,enhanced = "legacy";'
    domains = [
        Domain(run="show-tree", properties=binding(flags=0) +
               "xen,static-mem = <0 0xa4000000 0 0x10000000>;"),
        Domain(run="show-tree", cpus=2, properties=binding(**HOLES, flags=0) + DIRECT_MAP),
        bare(other_back_end(7)),
        bare(legacy),
        bare(binding(flags=0)),
    ]
    board = Board("verdicts-start", domains)
    board.prepare()
    said = tool_says(board)
    accepted = [domain["id"] for domain in said["domains"] if domain["verdict"] == "accepted"]
    if accepted != ([1, 2, 3, 4, 5] if VERSION == "4.22" else [1, 2, 3, 5]):
        raise Failed(f"the tool accepts {accepted}, and says {said['messages']}")
    console = board.run(until=[ended(number, "show-tree" if number < 3 else "conformance") for number in accepted],
                        unless=[ANY_FAILED])
    healthy(console, "dom1", "dom2")
    for domain in said["domains"]:
        refused = console.find(f"xen: {re.escape(domain['node'])}: not started")
        if bool(refused) != (domain["verdict"] == "refused"):
            raise Failed(f"{domain['node']}: {domain['verdict']} by the tool, not so by Xen (console: {console.log})")
        if refused:
            console.forbid(f"dom{domain['id']}: ")
    if not any(message["property"] == "xen,backend" and "domains up to 5" in message["what"]
               for message in said["messages"]):
        raise Failed(f"nothing is said of a back end that is not there: {said['messages']}")
    # `node` prints nothing of a tree with an error.
    compile_tree(board.device_tree() + amend("xen,enhanced;", 4), board.directory / "mended.dtb")
    require_same_nodes(board, console, 1)
    require_same_nodes(board, console, 2)


# What is wrong -> the board, what Xen says last, and the tool of which property; whether it is an error, or a warning
# since firmware or a boot loader may still mend it.
PANICS = {
    "more_memory_than_the_board": (
        {"domains": [bare()], "tree": amend("memory = <0 0x4000000>;")},
        "Failed to allocate requested domain memory", "memory", "warning"),
    "too_little_memory": (
        {"domains": [bare()], "tree": amend("memory = <0 0x1000>;")},
        "Unable to find suitable location for dtb", "memory", "error"),
    "no_kernel": (
        {"domains": [], "chosen": 'domU1 { compatible = "xen,domain"; cpus = <1>; memory = <0 0x8000>; };'},
        "Could not set up domain domU1", None, "warning"),
    "vcpus_without_a_bridge": (
        {"domains": [bare(cpus=9)], "gic": 2}, "Error creating domain domU1", "cpus", "error"),
    "static_memory_of_another_size": (
        {"domains": [bare("xen,static-mem = <0 0x70000000 0 0x1000000>;")]},
        "Failed to allocate requested static memory for domain d1", "xen,static-mem", "error"),
    "xenstore_without_dom0": (
        {"domains": [bare("xen,enhanced;")], "tree": f"/ {{ chosen {{ /delete-node/ kernel@{MODULES_BASE:x}; }}; }};"},
        "(At the moment, Xenstore support requires dom0|xenstore requested)", "xen,enhanced", "error"),
    "direct_map_without_static_memory": (
        {"domains": [bare("direct-map;")]}, "direct-map is not valid for domain domU1", "direct-map", "error"),
}


def require_message(said, name_of_property, level):
    """Failed unless the tool says something of the property, of that level."""
    if not any(message["property"] == name_of_property and message["level"] == level for message in said["messages"]):
        raise Failed(f"the tool says {said['messages']}")


def panics(name):
    """The case: Xen panics, and the tool has said so."""
    parts, words, name_of_property, level = PANICS[name]
    board = Board(f"verdicts-{name.replace('_', '-')}", counted=True, dom0_mib=256, timeout=120, **parts)
    board.prepare()
    require_message(tool_says(board), name_of_property, level)
    board.run(until=["xen: .*Panic on CPU", f"xen: .*{words}"], disasters=())


cases_of(PANICS, panics)


# The same, but Xen dies before it has said a word: its pages of static memory are made before there is a console.
SILENT = {
    "static_memory_where_no_ram_is": [bare("xen,static-mem = <0 0x30000000 0 0x2000000>;")],
    "static_memory_of_two": [bare("xen,static-mem = <0 0x70000000 0 0x2000000>;"),
                             bare("xen,static-mem = <0 0x71000000 0 0x2000000>;")],
}


def is_silent(name):
    """The case: nothing comes, and the tool has said why."""
    board = Board(f"verdicts-{name.replace('_', '-')}", SILENT[name], counted=True, dom0_mib=256, timeout=20)
    board.prepare()
    require_message(tool_says(board), "xen,static-mem", "error")
    try:
        board.run(until=["xen: ."], disasters=())
    except Failed:
        if board.console.lines:
            raise
    else:
        raise Failed(f"Xen speaks (console: {board.console.log})")


cases_of(SILENT, is_silent)

if __name__ == "__main__":
    main()
