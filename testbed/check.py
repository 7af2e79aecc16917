#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sets up what is needed, builds, and runs every test.

    ./check                 everything
    ./check NAME...         some: "unit", "system", a unit test's name (as meson lists it), a
                            system test (a file of tests/system, such as "base"), or one case
                            of it ("base:gic2_linux_6.1")
    ./check --qemu          QEMU 10 as the device model (tests/qemu), and nothing else; builds QEMU first. NAME...
                            are files of tests/qemu, or cases of them
    ./check --bench         what is measured on real Xen (bench/performance.py), with its bars; builds QEMU first and
                            writes docs/performance.md anew. NAME... are its cases, such as "performance:msix"
    ./check --boards        every board that Debian has a .dtb file of, read by the tool and by the test (tests/boards)
    ./check --kills         SIGKILL for the device model, 1,000 times under verified load (tests/kills)
    ./check --list          the names
    ./check --no-setup      what testbed/setup makes is there: do not look at it again

Unit tests run natively under the address and undefined-behaviour sanitizers (build/native);
the device model is built for arm64 (build/arm64); system tests boot the real hypervisor.
A build that fails counts as one failed test. The last line counts single tests:
"N passed, N failed, N skipped"; the exit status is 0 if none failed.
Logs are in build/logs, unit tests' in build/native/meson-logs. A process that outlives its
test, such as a QEMU, is a failure too, and is ended.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from board import VERSION, Processors

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
MARK = "SIDEBRIDGE_CHECK"       # in the environment of all that this run starts
BOARD_MIB = 4096                # of this machine's memory: more than any board of the tests has
TAP = re.compile(r"^(not )?ok\b(?: \d+)?(?: -)?\s*([^#\n]*)(#\s*SKIP.*)?", re.M | re.I)


# Suites whose cases boot the real thing, each by its option (without one: "system"), and where their files are.
SUITES = {"system": ROOT / "tests/system", "qemu": ROOT / "tests/qemu", "bench": ROOT / "bench",
          "boards": ROOT / "tests/boards", "kills": ROOT / "tests/kills"}


class Score:
    """Counts, and the names of what failed."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failed = []

    def tap(self, prefix, text):
        """Adds the results in the text of a test; returns how many there were."""
        results = TAP.findall(text)
        for failed, name, skip in results:
            if skip:            # also what cmocka writes: "not ok 1 # SKIP name"
                self.skipped += 1
            elif failed:
                self.failed.append(f"{prefix}: {name.strip()}")
            else:
                self.passed += 1
        return len(results)

    def line(self):
        """The closing line."""
        return f"{self.passed} passed, {len(self.failed)} failed, {self.skipped} skipped"


def heading(text):
    """A line that separates the parts."""
    print(f"\n== {text}", flush=True)


def step(score, name, *commands):
    """Runs commands one after the other into build/logs/NAME.log; False if one failed."""
    log, start = LOGS / f"{name}.log", time.monotonic()
    with open(log, "wb") as output:
        good = all(subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, check=False).returncode == 0
                   for command in commands)
    print(f"{name:24} {'done' if good else 'FAILED'} {time.monotonic() - start:6.1f} s",
          flush=True)
    if not good:
        score.failed.append(name)
        print("".join(f"    {line}\n" for line in
                      log.read_text(errors="replace").splitlines()[-25:]) + f"    ({log})")
    return good


def native_build(score):
    """Builds build/native with the sanitizers."""
    configure = ["meson", "setup", "-Db_sanitize=address,undefined", "build/native"]
    if (BUILD / "native/build.ninja").exists():
        configure.append("--reconfigure")
    return step(score, "native-build", configure, ["ninja", "-C", "build/native"])


def unit_names():
    """Names of meson's tests in build/native, if it is built."""
    if not (BUILD / "native/build.ninja").exists():
        return []
    output = subprocess.run(["meson", "introspect", "--tests", "build/native"], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return [test["name"] for test in json.loads(output.stdout)]


def run_unit(score, names):
    """Runs unit tests; each test program may hold many."""
    log = BUILD / "native/meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP",
                       ASAN_OPTIONS="abort_on_error=0:detect_leaks=1",
                       UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    subprocess.run(["meson", "test", "-C", "build/native", "--no-rebuild",
                    "--print-errorlogs", *names], cwd=ROOT, env=environment, check=False,
                   stdin=subprocess.DEVNULL)
    if not log.exists():
        score.failed.append("unit tests: meson ran none")
        return
    for result in map(json.loads, log.read_text().splitlines()):
        name, text = result["name"], result.get("stdout") or ""
        before = len(score.failed)
        count = score.tap(name, text)
        good = result["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
        if not good and len(score.failed) == before:
            score.failed.append(f"{name}: {result['result']}")   # crashed, or timed out
        elif good and count == 0:
            if result["result"] == "SKIP":
                score.skipped += 1
            else:
                score.passed += 1


def run_file(file, cases):
    """Runs one file of a suite's directory, and shows its lines as they come; its exit status and text."""
    text = []
    with subprocess.Popen([sys.executable, file, *cases], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace") as process:
        for line in process.stdout:
            print(f"{file.stem:24} {line}", end="", flush=True)
            text.append(line)
    return process.returncode, "".join(text)


def run_system(score, chosen):
    """Runs (file, cases), all at once: their boards wait for processors."""
    os.environ[Processors.LIMIT] = str(at_once())
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        results = pool.map(lambda item: run_file(*item), chosen)
        for (file, _), (status, text) in zip(chosen, results):
            before = len(score.failed)
            count = score.tap(file.stem, text)
            if (status and len(score.failed) == before) or count == 0:
                score.failed.append(f"{file.stem}: exit status {status}, {count} results")


def at_once():
    """How many boards this machine has processors and memory for."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free_mib = int(re.search(r"^MemAvailable: *(\d+)", file.read(), re.M)[1]) // 1024
    return max(1, min(Processors.COUNT, free_mib // BOARD_MIB))


def marked_processes():
    """Those that this run has started, wherever they are now: {process id: command line}."""
    mark, found = f"{MARK}={os.environ[MARK]}".encode(), {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if int(directory.name) != os.getpid() and mark in (directory / "environ").read_bytes().split(b"\0"):
                words = (directory / "cmdline").read_bytes().split(b"\0")
                found[int(directory.name)] = b" ".join(words).decode(errors="replace")
        except OSError:
            continue        # ended meanwhile, or somebody else's
    return found


def end_left_behind(score):
    """Nothing may be left of the tests; what is just ending gets a few seconds."""
    deadline = time.monotonic() + 10
    while (left := marked_processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process, command in left.items():
        score.failed.append(f"left behind: process {process}: {command[:100]}")
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--version", action="version", version=f"sidebridge check {VERSION}")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    for name in list(SUITES)[1:]:
        parser.add_argument(f"--{name}", dest="suite", action="store_const", const=name, default="system",
                            help=f"{SUITES[name].relative_to(ROOT)} instead of everything else")
    parser.add_argument("--no-setup", action="store_true", help="leave testbed/setup out")
    options = parser.parse_args()

    score, start = Score(), time.monotonic()
    os.environ[MARK] = f"{os.getpid()}-{time.time_ns()}"
    LOGS.mkdir(parents=True, exist_ok=True)
    suite = options.suite
    system = {file.stem: file for file in sorted(SUITES[suite].glob("*.py"))}
    if options.list:
        if not (BUILD / "native/build.ninja").exists():
            print("# unit tests are listed once build/native is there", file=sys.stderr)
        print("\n".join(["unit", suite, *unit_names(), *system]))
        return 0

    wanted = options.names or (["unit", "system"] if suite == "system" else [suite])
    # What takes minutes to build is built only for whom it is; a case that is named and lacks it says so.
    linux = not options.no_setup and {name.partition(":")[0] for name in wanted} & {"system", "grants", "bench"}
    # Boots of the real thing come last: what is quick says no first.
    if not options.no_setup:
        heading("setup")
        for program in ["setup", *(["build-qemu"] if suite == "qemu" or "bench" in wanted else [])]:
            if not score.failed and subprocess.run([ROOT / "testbed" / program], check=False).returncode:
                score.failed.append(program)
        if suite == "bench" and not score.failed:
            step(score, "release-build-of-xen", ["testbed/build-xen", "--release"])
    chosen_system = [name for name in wanted if name.partition(":")[0] in (*system, suite)]
    chosen_unit = [name for name in wanted if name not in chosen_system]
    if not score.failed:
        heading("build")
        # Only boots of the real thing want it, and often enough it has one thing to do at a time.
        beside = threading.Thread(target=step, args=(score, "build-linux", ["testbed/build-linux"]))
        if linux:
            beside.start()
        native = native_build(score)        # system tests want the tool
        unknown = set(chosen_unit) - {"unit", *unit_names()} if native else ()
        if unknown:
            print(f"check: no test {', '.join(sorted(unknown))}; try ./check --list",
                  file=sys.stderr)
            return 2
        if chosen_system:
            step(score, "arm64-build", ["testbed/build-arm64"])
        if native and chosen_unit:
            heading("unit tests")
            run_unit(score, [] if "unit" in chosen_unit else chosen_unit)
        boards = []
        for test, file in system.items():
            cases = [name.partition(":")[2] for name in chosen_system
                     if name.startswith(f"{test}:")]
            if cases or test in chosen_system or suite in chosen_system:
                boards.append((file, cases))
        if linux:
            beside.join()
        if boards:
            heading(f"{suite} tests")
            run_system(score, boards)

    end_left_behind(score)
    heading(f"result, after {time.monotonic() - start:.0f} s")
    for name in score.failed:
        print(f"failed: {name}")
    print(score.line(), flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
