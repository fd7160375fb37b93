"""Single faults: each is put into a copy of the code, and a test has to fail.

``python tests/faults.py`` goes through faults.toml, which takes its time, with NAMES through some
of it; ``--part 1/2`` takes every second one, so that another process can take ``2/2``; ``--check``
only looks whether every fault still has its place. The exit status is 1 if a fault lives. An entry
is a fault's name, the file in ``jaxrnn/``, an old text that occurs in it once, the new one, and the
tests that are to catch it, as pytest names them in ``tests/``. A slow test does not count: it does
not run at every landing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SECONDS = 900  # after which a fault's tests are given up


class Fault(NamedTuple):
    """One entry of the table."""

    name: str
    file: str
    old: str
    new: str
    tests: list[str]


def read_faults() -> list[Fault]:
    """The table."""
    table = tomllib.loads((TESTS / "faults.toml").read_text("utf-8"))
    return [Fault(name, **entry) for name, entry in table.items()]


def misfits(faults: Sequence[Fault]) -> list[str]:
    """A sentence for each fault whose place, or one of whose tests, is not there."""
    found = []
    for fault in faults:
        path = ROOT / "jaxrnn" / fault.file
        count = path.read_text("utf-8").count(fault.old) if path.exists() else 0
        if count != 1 or fault.old == fault.new:
            found.append(f"{fault.name}: {fault.old!r} is {count} times in {fault.file}, not once")
        for test in fault.tests:
            file, _, function = test.partition("::")
            path, name = TESTS / file, function.partition("[")[0]
            if not path.exists() or (name and f"def {name}(" not in path.read_text("utf-8")):
                found.append(f"{fault.name}: there is no test {test}")
    return found


def run_tests(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run some tests of a tree until the first fails; 124 if they take too long."""
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",  # a fault may leave a file's size and second as they were
        "JAX_COMPILATION_CACHE_DIR": str(tree / ".compiled"),  # what a fault leaves as it was
    }
    options = ["-x", "-q", "-rfE", "-p", "no:cacheprovider", "-m", "not slow"]
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", "")


def verdict(done: subprocess.CompletedProcess[str]) -> tuple[bool, str]:
    """Whether a fault was caught, and by which test or why not."""
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode == 1 and failed:
        return True, failed[1]
    reasons = {0: "LIVES: no test failed", 124: f"LIVES: no end after {SECONDS} s"}
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    return False, reasons.get(done.returncode, f"LIVES: no test ran: {lines[-1]}")


def try_all(faults: Sequence[Fault]) -> list[Fault]:
    """Put in one after another, print what becomes of each, and return those that live."""
    living, start = [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jaxrnn-faults-") as directory:
        tree = Path(directory) / "tree"
        left_out = shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "*.egg-info")
        shutil.copytree(ROOT, tree, ignore=left_out)
        shutil.copytree(ROOT / ".ci", tree / ".ci")  # which a test reads
        tests = dict.fromkeys(test for fault in faults for test in fault.tests)
        print(f"{len(tests)} tests without a fault", flush=True)
        done = run_tests(tree, list(tests))
        if done.returncode:
            sys.exit(f"{done.stdout}{done.stderr}they have to pass without a fault")
        print(f"passed in {time.monotonic() - start:.0f} s", flush=True)
        for number, fault in enumerate(faults, 1):
            since = time.monotonic()
            path = tree / "jaxrnn" / fault.file
            text = path.read_text("utf-8")
            path.write_text(text.replace(fault.old, fault.new), "utf-8")
            caught, what = verdict(run_tests(tree, fault.tests))
            path.write_text(text, "utf-8")
            if not caught:
                living.append(fault)
            place = f"[{number}/{len(faults)}]"
            seconds = f"{time.monotonic() - since:.0f} s"
            print(f"{place:>9} {seconds:>6}  {fault.name:<52}  {what}", flush=True)
    print(
        f"{len(faults) - len(living)} of {len(faults)} caught in {time.monotonic() - start:.0f} s"
        + "".join(f"\nlives: {fault.name}" for fault in living)
    )
    return living


def part(text: str) -> tuple[int, int]:
    """K and N of a K/N."""
    number, parts = map(int, text.split("/"))
    if not 1 <= number <= parts:
        raise ValueError
    return number, parts


def main() -> int:
    """Run the command line; 1 if a fault lives or has lost its place, 2 for an unknown name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of faults; by default all")
    parser.add_argument("--part", type=part, default=(1, 1), metavar="K/N", help="of them")
    parser.add_argument("--check", action="store_true", help="only look for their places")
    arguments = parser.parse_args()
    faults = read_faults()
    known = [fault.name for fault in faults]
    for name in arguments.names:
        if name not in known:
            parser.error(f"unknown fault {name!r}: choose from {', '.join(known)}")
    chosen = [fault for fault in faults if not arguments.names or fault.name in arguments.names]
    number, parts = arguments.part
    chosen = chosen[number - 1 :: parts]
    if lost := misfits(chosen):
        print("\n".join(lost), file=sys.stderr)
        return 1
    if arguments.check:
        print(f"{len(chosen)} faults have their places")
        return 0
    return 1 if try_all(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
