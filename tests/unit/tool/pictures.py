#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `sidebridge picture` and `map -o` draw of every tree of this folder shows what `map --json` tells of it, in SVG
that a parser reads, and as text that fits the terminal. Prints TAP.

    pictures.py TOOL ROOT BLOB...
"""
import fcntl
import json
import locale
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
import xml.etree.ElementTree as xml
from pathlib import Path

TOOL, ROOT = sys.argv[1], Path(sys.argv[2])
BLOBS = sys.argv[3:]
SVG = "{http://www.w3.org/2000/svg}"
WORK = Path(tempfile.mkdtemp())


def blob_of(name):
    """A tree of this folder by its name."""
    return next(blob for blob in BLOBS if blob.endswith(f"/{name}.dtb"))


def run(*arguments, **more):
    """Exit status, output and messages of the tool."""
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, check=False, **more)
    return done.returncode, done.stdout, done.stderr.decode("ascii")


def domains_of(blob):
    """What map --json tells."""
    return json.loads(run("map", "--json", blob)[1])["files"][0].get("domains", [])


def draw(blob, *more, command="picture", **how):
    """The SVG, parsed; nothing is left beside it."""
    file = WORK / "drawn" / "picture.svg"
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    status = run("map", blob, *more, **how)[0]
    drawn, output, messages = run(command, "-o", file, blob, *more, **how)
    assert (drawn, output) == (status, b""), f"status {drawn}, not {status}; {messages}"
    assert os.listdir(file.parent) == ["picture.svg"]
    return xml.parse(file).getroot()


def wanted_blocks(domain):
    """(first, last) -> kind, of what is to be seen of a domain: the service area is one."""
    blocks = []
    for part in domain["ranges"]:
        if part["kind"] == "status" and blocks and blocks[-1][2] == "v2m" and blocks[-1][3] == part["bridge"]:
            blocks[-1][1] = part["last"]
        elif part["kind"] != "hole":
            blocks.append([part["first"], part["last"], part["kind"], part.get("bridge"), part["overlaps"]])
    return blocks


def shown_blocks(root, domain):
    """(first, last) -> the rectangles."""
    shown = {}
    for box in root.iter(f"{SVG}rect"):
        title = box.find(f"{SVG}title")
        match = re.match(r"0x([0-9a-f]+)-0x([0-9a-f]+), ", title.text) if title is not None else None
        if match and box.get("id", "").startswith(f"domain-{domain['id']}-"):
            key = (int(match[1], 16), int(match[2], 16))
            shown.setdefault(key, []).append(box)
    return shown


def svg_shows_all_there_is(blob):
    """Each range once, where it overlaps marked, no two in one place, and the same address at the same height."""
    root = draw(blob, command="map")
    ids = [part.get("id") for part in root.iter() if part.get("id")]
    assert len(ids) == len(set(ids)) or "two domains have this name" in run("check", blob)[2], "an id comes twice"
    heights = {}
    for domain in domains_of(blob):
        wanted, shown = wanted_blocks(domain), shown_blocks(root, domain)
        assert sorted((first, last) for first, last, *_ in wanted) == \
            sorted(key for key, boxes in shown.items() for _ in boxes), f"{wanted}\n{shown}"
        areas = []
        for first, last, _, _, overlaps in wanted:
            boxes = shown[(first, last)]
            assert any(("wrong" in box.get("class")) == overlaps for box in boxes), f"{first:#x} {overlaps}"
            for box in boxes:
                left, top, width, height = (int(box.get(key)) for key in ("x", "y", "width", "height"))
                areas.append((left, top, left + width, top + height))
                row = top // 100000
                assert heights.setdefault((row, domain["id"] - 1, first), top) == top
        for number, one in enumerate(areas):
            for other in areas[number + 1:]:
                assert one == other or one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or \
                    other[3] <= one[1], f"{one} and {other} are in one place"
    tops = {}
    for (_, _, first), top in heights.items():
        tops.setdefault(first, set()).add(top)
    if len(domains_of(blob)) <= 6:
        assert all(len(places) == 1 for places in tops.values()), "an address has two heights"
        ordered = [min(tops[first]) for first in sorted(tops)]
        assert ordered == sorted(ordered), "addresses are out of order"


def svg_shows_who_serves_whom():
    """A line of the server's colour ends in the middle of each bridge's tab, and begins on its server's own."""
    root = draw(blob_of("ten-guests"))
    boxes = {box.get("id"): box for box in root.iter(f"{SVG}rect") if box.get("id")}
    drops = {(int(line.get("x1")), int(line.get("y2"))): line.get("class")
             for line in root.iter(f"{SVG}line") if line.get("x1") == line.get("x2")}
    for domain in domains_of(blob_of("ten-guests")):
        for bridge in domain["bridges"]:
            tab = boxes[f"domain-{domain['id']}-bridge-{bridge['index']}"]
            end = (int(tab.get("x")) + int(tab.get("width")) // 2, int(tab.get("y")))
            row = "-row-1" if domain["id"] > 5 else ""
            server = boxes[f"server-{bridge['backend']}{row}"]
            assert drops[end] == server.get("class"), f"{domain['node']} {bridge['index']}"
            assert tab.get("class").split()[1] == server.get("class").split()[1]
    texts = {text.text for text in root.iter(f"{SVG}text")}
    for words in ("dom0", "storage (domain 1)", "network (domain 2)", "bridge 1: 16 buses, GRANTS", "direct-mapped",
                  "44-47 INTA-D, 48-79 MSI", "0: prefetchable memory", "serves others"):
        assert words in texts, words


def svg_shows_a_server_that_is_missing():
    """Its box and its tab are marked."""
    root = draw(blob_of("good-four-bridges"))
    boxes = {box.get("id"): box.get("class") for box in root.iter(f"{SVG}rect") if box.get("id")}
    assert "wrong" in boxes["server-3"] and "wrong" in boxes["domain-1-bridge-2"], boxes
    assert "wrong" not in boxes["server-0"] and "wrong" not in boxes["domain-1-bridge-1"], boxes


def svg_escapes_names():
    """Of a domain and of the file."""
    for name in (b"</svg>", b"<a&b>\"", b"]]>-->", b"'\xff\x00\x1b\x9b"[:2] + b"<\x1b&\xc3", b"&#60;x"):
        name = name[:5]
        with open(blob_of("good-plain"), "rb") as tree:
            damaged = tree.read().replace(b"domU1\0", name + b"\0")
        root = draw("-", input=damaged)
        text = "".join(chr(byte) if 0x20 <= byte < 0x7f else f"\\x{byte:02x}" for byte in name).rsplit("/", 1)[-1]
        assert text in {part.text for part in root.iter(f"{SVG}text")}, text
        assert not [part for part in root.iter() if not part.tag.startswith(SVG)]
    file = WORK / "<script>&\"'.dtb"
    file.write_bytes(Path(blob_of("good-plain")).read_bytes())
    assert file.name in {part.text for part in draw(file).iter(f"{SVG}text")}


def svg_of_one_domain():
    """And of none, and of one that is not there."""
    root = draw(blob_of("ten-guests"), "cluster")
    ids = {box.get("id")[:9] for box in root.iter(f"{SVG}rect") if box.get("id")}
    assert ids == {"domain-3-", "server-0", "server-2"}, ids
    assert run("picture", "-o", WORK / "none.svg", blob_of("good-plain"), "domU9")[0] == 1
    assert not (WORK / "none.svg").exists()
    empty = subprocess.run(["dtc", "-q", "-O", "dtb"], input=b"/dts-v1/; / { chosen { }; };", capture_output=True,
                           check=True).stdout
    draw("-", input=empty)


def files():
    """One that is there is replaced, with the rights of any other; where there is none to be, nothing is left."""
    file = WORK / "drawn" / "old.svg"
    file.parent.mkdir(exist_ok=True)
    file.write_text("old")
    other = WORK / "link"
    os.link(file, other)
    subprocess.run(["sh", "-c", 'umask 027; exec "$@"', "sh", TOOL, "picture", "-o", file, blob_of("good-plain")],
                   check=True)
    assert file.read_text().startswith("<?xml") and other.read_text() == "old"
    assert file.stat().st_mode & 0o777 == 0o640
    file.unlink()
    other.unlink()
    status, _, messages = run("picture", "-o", "/nonexistent/a.svg", blob_of("good-plain"))
    assert status == 1 and "/nonexistent/a.svg cannot be written: No such file or directory" in messages
    (WORK / "is-directory.svg").mkdir()
    status, _, messages = run("map", "-o", WORK / "is-directory.svg", blob_of("good-plain"))
    assert status == 1 and "cannot be written: Is a directory" in messages, messages
    assert [name for name in os.listdir(WORK) if "is-directory.svg." in name] == []
    for wrong in ("a.png", ".svg", ""):
        status, _, messages = run("picture", "-o", wrong, blob_of("good-plain"))
        assert status == 2 and "ends in .svg" in messages, messages
    assert run("check", "-o", "a.svg", blob_of("good-plain"))[0] == 2


def on_terminal(columns, blob, **environment):
    """What it prints on a terminal of so many columns."""
    ours, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    printed = b""
    with subprocess.Popen([TOOL, "picture", blob], stdout=terminal, stderr=subprocess.DEVNULL,
                          env={**os.environ, **environment}) as process:
        os.close(terminal)
        while True:
            try:
                printed += os.read(ours, 65536)
            except OSError:     # nobody has the terminal any more
                break
    os.close(ours)
    assert process.returncode == 0
    return printed.decode().replace("\r\n", "\n")


def text_as_it_was():
    """Character by character, in ASCII and in UTF-8."""
    for name, environment in (("ascii", {"LC_ALL": "C"}), ("utf-8", {"LC_ALL": "C.UTF-8"})):
        drawn = run("picture", blob_of("readme"), env={**os.environ, **environment})[1].decode()
        expected = (ROOT / f"tests/unit/tool/picture/readme.{name}.txt").read_text(encoding="utf-8")
        assert drawn == expected, f"the picture in {name} is now\n{drawn}"
    assert run("picture", blob_of("readme"), env={**os.environ, "LC_ALL": "C"})[1].isascii()


def text_fits_the_terminal():
    """In colours there, and no wider."""
    environment = {"LC_ALL": "C.UTF-8", "TERM": "xterm", "NO_COLOR": ""}
    for columns in (45, 80, 132, 300):
        drawn = on_terminal(columns, blob_of("ten-guests"), **environment)
        assert "\033[0;1;33m" in drawn
        lines = re.sub(r"\033\[[0-9;]*m", "", drawn).splitlines()
        assert max(map(len, lines)) <= columns, f"{max(map(len, lines))} characters in {columns}"
        assert columns < 80 or any("storage (domain 1)" in line for line in lines), columns
    assert "\033" not in on_terminal(80, blob_of("ten-guests"), **{**environment, "NO_COLOR": "1"})
    assert "\033" not in on_terminal(80, blob_of("ten-guests"), **{**environment, "TERM": "dumb"})
    assert b"\033" not in run("picture", blob_of("ten-guests"))[1]


def text_shows_all_there_is(blob):
    """Each address at which something begins."""
    status, output, _ = run("picture", blob, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert status == run("map", blob)[0]
    said = output.decode()
    for domain in domains_of(blob):
        assert domain["node"].rsplit("/", 1)[-1][:20] in said, domain["node"]
        for first, *_ in wanted_blocks(domain):
            assert f"0x{first:09x}" in said, f"{first:#x}\n{said}"


def docs_picture_is_this():
    """README.md's is what is drawn of the tree of this folder."""
    copy = WORK / "host.dtb"
    copy.write_bytes(Path(blob_of("readme")).read_bytes())
    draw(copy)
    assert (WORK / "drawn" / "picture.svg").read_text() == (ROOT / "docs/system.svg").read_text(), \
        "sidebridge picture -o docs/system.svg of tests/unit/tool/picture/readme.dts, compiled to host.dtb, differs"


def main():
    """All cases."""
    locale.setlocale(locale.LC_ALL, "C")
    cases = [(function,) for function in (
        svg_shows_who_serves_whom, svg_shows_a_server_that_is_missing, svg_escapes_names, svg_of_one_domain, files,
        text_as_it_was, text_fits_the_terminal, docs_picture_is_this)]
    for blob in BLOBS:
        cases += [(svg_shows_all_there_is, blob), (text_shows_all_there_is, blob)]
    failed = False
    print(f"1..{len(cases)}")
    for number, (function, *arguments) in enumerate(cases, 1):
        name = " ".join([function.__name__, *(argument.rsplit("/", 1)[-1] for argument in arguments)])
        try:
            function(*arguments)
            print(f"ok {number} - {name}")
        except (AssertionError, KeyError, ValueError, xml.ParseError) as problem:
            failed = True
            print(f"not ok {number} - {name}")
            print("".join(f"# {line}\n" for line in f"{type(problem).__name__} {problem}".splitlines()), end="")
    subprocess.run(["rm", "-r", WORK], check=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
