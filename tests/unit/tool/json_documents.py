#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What --json prints of every tree of this folder says what is printed without it, and has the form that
docs/sidebridge.schema.json describes. Prints TAP.

    json_documents.py TOOL SCHEMA BLOB...
"""
import json
import re
import subprocess
import sys

import jsonschema

TOOL, SCHEMA, *BLOBS = sys.argv[1:]
with open(SCHEMA, encoding="utf-8") as file:
    VALIDATOR = jsonschema.Draft7Validator(json.load(file))


def run(*arguments, **more):
    """Exit status, output and messages of the tool."""
    done = subprocess.run([TOOL, *arguments], capture_output=True, check=False, **more)
    return done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")


def document_of(*arguments, status, **more):
    """The one file of the document, which is valid; nothing else is printed."""
    ended, output, messages = run(*arguments, "--json", **more)
    assert (ended, messages) == (status, ""), f"status {ended}, not {status}; {messages}"
    document = json.loads(output)
    VALIDATOR.validate(document)
    (only,) = document["files"]
    return only


def is_line(line, message, file):
    """Whether a printed line is the message's."""
    level = {"error": "", "warning": "warning: ", "note": "note: "}[message["level"]]
    before = "".join(f"{part}: " for part in (file, message["node"]) if part) + level
    before += f"{message['property']}: " if message["property"] else ""
    what, instead = message["what"], message["instead"]
    whole = [what] if instead is None else [instead] if what == instead else \
        [f"{what}; {instead}", f"{what}: {instead}"]
    return line in [before + text for text in whole]


def check_says_the_same(blob):
    """Messages, in order, the counts of the summary, and the verdicts."""
    status, summary, messages = run("check", blob)
    said = document_of("check", blob, status=status)
    lines = messages.splitlines()
    assert len(lines) == len(said["messages"]), f"{len(lines)} lines, {len(said['messages'])} messages"
    for line, message in zip(lines, said["messages"]):
        assert is_line(line, message, blob), f"{line}\n{message}"
    counts = re.findall(r"(\d+) (?:error|warning|note)", summary)
    if summary:
        assert counts == [str(said[kind]) for kind in ("errors", "warnings", "notes")], summary
    assert said["verdict"] == ("refused" if status else "accepted")
    refused = {"/".join(message["node"].split("/")[:3]) for message in said["messages"]
               if message["level"] == "error" and message["node"]}
    for domain in said.get("domains", []):
        assert (domain["verdict"] == "refused") == (domain["node"] in refused), domain["node"]


def map_says_the_same(blob):
    """All ranges of all domains, and the interrupts of their bridges."""
    status, text, _ = run("map", blob)
    said = document_of("map", blob, status=status)
    lines = []
    for domain in said.get("domains", []):
        several = len(domain["bridges"]) > 1
        for part in domain["ranges"]:
            owner = (f"bridge {part['bridge']}: " if several else "bridge: ") if "bridge" in part else ""
            mark = "!" if part["overlaps"] else "*" if owner else " "
            lines.append((mark, part["first"], part["last"], owner + part["name"]))
        for bridge in domain["bridges"]:
            total = sum(bridge["interrupts"].get(kind, {"count": 0})["count"] for kind in ("intx", "msi"))
            if bridge["kind"] == "pci":
                assert total == bridge["interrupts"]["all"]["count"]
                assert bridge["buses"] << 20 == bridge["windows"]["ecam"]["size"]
    marked = any(part["overlaps"] for domain in said.get("domains", []) for part in domain["ranges"])
    assert not marked or said["verdict"] == "refused", "it marks what check accepts"
    drawn = re.findall(r"^([ *!]) 0x([0-9a-f]{13,16}) - 0x([0-9a-f]{13,16}) +[0-9.]+ \w+  (.*)$", text, re.M)
    assert lines == [(mark, int(first, 16), int(last, 16), name) for mark, first, last, name in drawn], text


def node_says_the_same(blob):
    """The guest's tree, cell by cell, as dtc reads it."""
    domains = document_of("check", blob, status=0)["domains"]
    for domain in domains:
        if not domain["bridges"]:
            continue
        said = document_of("node", blob, str(domain["id"]), status=0)["domains"][domain["id"] - 1]["tree"]
        binary = subprocess.run([TOOL, "node", "-O", "dtb", blob, domain["node"]], capture_output=True,
                                check=True).stdout
        source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-"], input=binary, capture_output=True,
                                check=True).stdout.decode()
        cells = re.findall(r"^\s*ranges = <(.*)>;", source, re.M)
        mine = [" ".join(f"0x{cell:02x}" for cell in node["properties"]["ranges"])
                for name, node in said["nodes"].items() if "ranges" in node["properties"]]
        assert cells == mine, f"{cells}\n{mine}"
        names = re.findall(r"^\t(\S+) \{$", source, re.M)
        assert names == list(said["nodes"]), names


# Tree -> property, what is wrong, and what would be right.
SAID = {
    "bad-ram": ("secondary-emulated-pci-host-bridge",
                "memory_address 0x46000000: 0x46000000-0x47ffffff overlaps guest RAM 0x40000000-0x47ffffff",
                "move one of them"),
    "bad-irq-31": ("secondary-emulated-pci-host-bridge", "irq_start 31",
                   "must be the absolute interrupt id of an SPI, 32 to 991"),
    "bad-memory-length": ("memory", "length 4 bytes", "expected 8 bytes (2 cells, the number of KiB)"),
    "bad-child-irqs-1": ("xen,irqs", "must be two cells: the first interrupt and how many",
                         "must be two cells: the first interrupt and how many"),
    "bad-cpus-missing": ("cpus", "missing: Xen cannot build the domain without it", None),
}


def what_would_be_right_is_apart():
    """From what is wrong, and from the property."""
    for name, said in SAID.items():
        blob = next(blob for blob in BLOBS if blob.endswith(f"/{name}.dtb"))
        message = document_of("check", blob, status=1)["messages"][0]
        assert (message["property"], message["what"], message["instead"]) == said, message


def hostile_names_are_text():
    """Bytes that are no text, quotes and backslashes in a domain's name."""
    blob = next(blob for blob in BLOBS if blob.endswith("good-plain.dtb"))
    with open(blob, "rb") as tree:
        damaged = tree.read().replace(b"domU1\0", b'"\\\xff\x1b<\0')
    (domain,) = document_of("map", "-", status=0, input=damaged)["domains"]
    assert domain["node"] == '/chosen/"\\\\xff\\x1b<', domain["node"]
    said = document_of("map", "-", 'no"\x1bne', status=1, input=damaged)
    assert said["messages"][-1]["what"] == 'there is no domain "no"\\x1bne"', said["messages"]


def several_files_in_one_document():
    """Of which one is missing and one no device tree."""
    blob = next(blob for blob in BLOBS if blob.endswith("good-plain.dtb"))
    status, output, messages = run("check", "--json", blob, "/nonexistent", "/dev/null")
    document = json.loads(output)
    VALIDATOR.validate(document)
    assert (status, messages) == (1, "")
    assert [file["verdict"] for file in document["files"]] == ["accepted", "refused", "refused"]
    assert "domains" not in document["files"][1] and document["files"][1]["messages"][0]["node"] is None


def not_printed():
    """Nowhere to print it, and a command line that is wrong."""
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([TOOL, "check", "--json", BLOBS[0]], stdout=full, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
    assert run("qemu-args", "--json", BLOBS[0], "domU1")[0] == 2
    status, output, _ = run("check", "--json")
    assert (status, output) == (2, "")


def main():
    """All cases."""
    cases = [(function,) for function in (
        what_would_be_right_is_apart, hostile_names_are_text, several_files_in_one_document, not_printed)]
    for blob in BLOBS:
        cases += [(check_says_the_same, blob), (map_says_the_same, blob)]
        if "/good-" in blob:
            cases.append((node_says_the_same, blob))
    failed = False
    print(f"1..{len(cases)}")
    for number, (function, *arguments) in enumerate(cases, 1):
        name = " ".join([function.__name__, *(argument.rsplit("/", 1)[-1] for argument in arguments)])
        try:
            function(*arguments)
            print(f"ok {number} - {name}")
        except (AssertionError, ValueError, jsonschema.ValidationError) as problem:
            failed = True
            print(f"not ok {number} - {name}")
            print("".join(f"# {line}\n" for line in str(problem).splitlines()), end="")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
