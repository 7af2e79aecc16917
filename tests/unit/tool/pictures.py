#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `sidebridge picture` and `map -o` draw of every tree of this folder shows what `map --json` tells of it, in SVG
that a parser reads, as text that fits the terminal, and as a report that a browser shows and prints. Prints TAP.

    pictures.py TOOL ROOT BLOB...
"""
import fcntl
import functools
import html.parser
import json
import os
import re
import shutil
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


class Skip(Exception):
    """The case cannot be run here; the text says why."""


def blob_of(name):
    """A tree of this folder by its name."""
    return next(blob for blob in BLOBS if blob.endswith(f"/{name}.dtb"))


def run(*arguments, **more):
    """Exit status, output and messages of the tool."""
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, check=False, **more)
    return done.returncode, done.stdout, done.stderr.decode("ascii")


@functools.lru_cache(maxsize=None)
def told_of(blob):
    """Exit status, and what map --json tells of a tree."""
    status, output, _ = run("map", "--json", blob)
    return status, json.loads(output)["files"][0]


def domains_of(blob):
    """The domains of that."""
    return told_of(blob)[1].get("domains", [])


def draw(blob, *more, command="picture", **how):
    """The SVG, parsed; nothing is left beside it."""
    file = WORK / "drawn" / "picture.svg"
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    status = run("map", blob, *more, **how)[0] if more or how else told_of(str(blob))[0]
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
            server = boxes[f"server-{bridge['backend']}-above-{6 if domain['id'] > 5 else 1}"]
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
    assert "wrong" in boxes["server-3-above-1"] and "wrong" in boxes["domain-1-bridge-2"], boxes
    assert "wrong" not in boxes["server-0-above-1"] and "wrong" not in boxes["domain-1-bridge-1"], boxes


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
    assert ids == {"domain-3-", "server-0-", "server-2-"}, ids
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
        assert status == 2 and "ends in .svg or .html" in messages, messages
    assert run("check", "-o", "a.svg", blob_of("good-plain"))[0] == 2
    assert run("map", "--json", "-o", "a.svg", blob_of("good-plain"))[0] == 2


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
    assert status == told_of(blob)[0]
    said = output.decode()
    for domain in domains_of(blob):
        assert domain["node"].rsplit("/", 1)[-1][:20] in said, domain["node"]
        for first, *_ in wanted_blocks(domain):
            assert f"0x{first:09x}" in said, f"{first:#x}\n{said}"


class Page(html.parser.HTMLParser):
    """An HTML page: its tables, as rows of texts, by id; and whatever it would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.ids, self.tags, self.foreign = {}, [], set(), []
        self._table, self._cell = None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.ids += [value for key, value in attrs if key == "id"]
        self.foreign += [(tag, key) for key, value in attrs
                         if key in ("src", "href", "action", "data") or key.startswith("on") or "url(" in (value or "")]
        if tag == "table":
            self._table = self.tables.setdefault(attributes["id"], [])
        elif tag == "tr":
            self._table.append([])
        elif tag == "td":
            self._table[-1].append("")
            self._cell = self._table[-1]

    def handle_endtag(self, tag):
        if tag == "td":
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell[-1] += data


def report_of(blob, **how):
    """The report's text."""
    file = WORK / "report.html"
    file.unlink(missing_ok=True)
    status = run("map", blob, **how)[0] if how else told_of(str(blob))[0]
    assert run("picture", "-o", file, blob, **how)[:2] == (status, b"")
    return file.read_text(encoding="ascii")


def tells_all(page, blob):
    """Whether the tables of a page have all messages, guests, bridges and ranges of a tree."""
    said = told_of(blob)[1]
    messages = [[message["level"], message["node"] or "the file",
                 (f"{message['property']}: " if message["property"] else "") + message["what"],
                 message["instead"] or ""]
                for message in said["messages"]]
    assert [row for row in page.tables.get("messages", []) if row] == messages, page.tables.get("messages")
    guests = [row for row in page.tables["guests"] if row]
    assert [row[:3] for row in guests] == \
        [[str(domain["id"]), domain["node"].rsplit("/", 1)[-1], str(domain["cpus"])] for domain in said["domains"]]
    bridges = [row for row in page.tables["bridges"] if row]
    assert len(bridges) == sum(len(domain["bridges"]) for domain in said["domains"])
    for domain in said["domains"]:
        rows = [row for row in page.tables[f"space-{domain['id']}"] if row]
        assert [(int(row[0], 16), int(row[1], 16)) for row in rows] == \
            [(part["first"], part["last"]) for part in domain["ranges"]]


def html_tells_all(blob):
    """With pictures that a parser reads, and nothing that a browser would fetch or run."""
    text = report_of(blob)
    page = Page(text)
    tells_all(page, blob)
    assert not page.foreign and "script" not in page.tags and "link" not in page.tags, page.foreign
    assert "default-src 'none'" in text and "@import" not in text
    assert len(page.ids) == len(set(page.ids)) or "two domains have this name" in run("check", blob)[2]
    pictures = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(pictures) == -(-len(domains_of(blob)) // 4)
    for picture in pictures:
        xml.fromstring(picture)


def html_escapes_names():
    """Of a domain and of the file."""
    with open(blob_of("good-plain"), "rb") as tree:
        damaged = tree.read().replace(b"domU1\0", b"<i>&\"\0")
    text = report_of("-", input=damaged)
    page = Page(text)
    assert "i" not in page.tags and page.tables["guests"][-1][1] == '<i>&"', page.tables["guests"]
    file = WORK / "<script>&\"'.dtb"
    file.write_bytes(damaged)
    assert "script" not in Page(report_of(file)).tags


def in_a_browser(*arguments):
    """What chromium prints."""
    if not shutil.which("chromium"):
        raise Skip("chromium is not installed")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={WORK / 'profile'}"]
    done = subprocess.run([*command, *arguments, f"file://{WORK / 'report.html'}"], capture_output=True, check=False,
                          timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def html_in_a_browser():
    """It sees all that is in the file."""
    report_of(blob_of("ten-guests"))
    page = Page(in_a_browser("--dump-dom"))
    tells_all(page, blob_of("ten-guests"))
    assert {"server-0-above-1", "domain-5-bridge-2", "domain-10-bridge-0"} <= set(page.ids)


def html_on_paper():
    """In A4, each picture and each table on a page of its own or with others, none cut."""
    if not shutil.which("pdftotext"):
        raise Skip("poppler-utils is not installed")
    report_of(blob_of("ten-guests"))
    file = WORK / "report.pdf"
    in_a_browser("--no-pdf-header-footer", f"--print-to-pdf={file}")
    described = subprocess.run(["pdfinfo", file], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Page size: +59[45]\S* x 84[12]", described), described
    pages = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True,
                           check=True).stdout.decode().split("\f")[:-1]
    assert 5 <= len(pages) <= 9, f"{len(pages)} pages"
    for domain in domains_of(blob_of("ten-guests")):
        name = domain["node"].rsplit("/", 1)[-1]
        drawn = [page for page in pages if re.search(rf"\b{name} +domain {domain['id']}\b", page)]
        assert len(drawn) == 1 and "interrupts 32 to" in drawn[0] and "0x10000000000" in drawn[0], name
    spaces = [page for page in pages if re.search(r"^ *from +to", page, re.M)]
    for page in spaces:
        assert page.count("0x000000000") == page.count("0xffffffffff"), "a table is cut"


def docs_picture_is_this():
    """README.md's is what is drawn of the tree of this folder."""
    copy = WORK / "host.dtb"
    copy.write_bytes(Path(blob_of("readme")).read_bytes())
    draw(copy)
    assert (WORK / "drawn" / "picture.svg").read_text() == (ROOT / "docs/system.svg").read_text(), \
        "sidebridge picture -o docs/system.svg of tests/unit/tool/picture/readme.dts, compiled to host.dtb, differs"


def main():
    """All cases."""
    cases = [(function,) for function in (
        svg_shows_who_serves_whom, svg_shows_a_server_that_is_missing, svg_escapes_names, svg_of_one_domain, files,
        text_as_it_was, text_fits_the_terminal, html_escapes_names, html_in_a_browser, html_on_paper,
        docs_picture_is_this)]
    for blob in BLOBS:
        cases += [(svg_shows_all_there_is, blob), (text_shows_all_there_is, blob), (html_tells_all, blob)]
    failed = False
    print(f"1..{len(cases)}")
    for number, (function, *arguments) in enumerate(cases, 1):
        name = " ".join([function.__name__, *(argument.rsplit("/", 1)[-1] for argument in arguments)])
        try:
            function(*arguments)
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except (AssertionError, KeyError, ValueError, xml.ParseError) as problem:
            failed = True
            print(f"not ok {number} - {name}")
            print("".join(f"# {line}\n" for line in f"{type(problem).__name__} {problem}".splitlines()), end="")
    subprocess.run(["rm", "-r", WORK], check=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
