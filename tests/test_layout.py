"""The parts of the package stand on each other as README.md shows them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import faults

PACKAGE = Path(__file__).parents[1] / "jaxrnn"

# From the ground up: a part may import what stands before it, and itself.
FLOORS = ["errors", "options", "machine", "rounding", "outcome", "experiment", "names", "nets"]
FLOORS += [
    "problems",
    "training",
    "store",
    "report",
    "trained",
    "inspection",
    "sweeps",
    "yardstick",
    "cli",
]
FLOORS += ["__main__"]
NEVER = {("store", "training"), ("report", "training"), ("problems", "nets")}


def test_no_part_imports_one_that_stands_on_it():
    seen = set()
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if part == "__init__":
            continue  # the package's own, above all of them but the command line
        seen.add(part)
        modules = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module[:6] == "jaxrnn":
                modules |= {f"{node.module}.{alias.name}".split(".")[1] for alias in node.names}
        for other in modules:
            assert FLOORS.index(other) <= FLOORS.index(part), f"{path.name} imports {other}"
            assert (part, other) not in NEVER, f"{path.name} imports {other}"
    assert seen == set(FLOORS)


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def test_contributing_shows_every_module_a_part_above_those_that_stand_on_it():
    lines = ["    jaxrnn/"]
    for part in FLOORS:
        folder, path = PACKAGE / part, PACKAGE / f"{part}.py"
        if not folder.is_dir():
            lines.append(f"      {path.name:<22} {first_line(path)}")
            continue
        lines.append(f"      {part + '/':<22} {first_line(folder / '__init__.py')}")
        modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        lines += [f"        {path.name:<20} {first_line(path)}" for path in modules]
    tree = re.sub(r"(:\w+:)?`+([^`]+)`+", r"`\2`", "\n".join(lines))
    assert tree in (PACKAGE.parent / "CONTRIBUTING.md").read_text(), tree


def test_every_fault_has_its_place_is_shared_out_and_is_caught_by_tests_that_run(
    monkeypatch, capsys
):
    table = faults.read_faults()
    assert len(table) > 80
    lost = table[0]._replace(old="nowhere to be found", tests=["test_layout.py::test_of_nothing"])
    assert len(faults.misfits([lost])) == 2
    for part, number in (("1/2", (len(table) + 1) // 2), ("2/2", len(table) // 2)):
        monkeypatch.setattr(sys, "argv", ["faults.py", "--check", "--part", part])
        assert faults.main() == 0
        assert capsys.readouterr().out == f"{number} faults have their places\n"
    slow = subprocess.CompletedProcess([], 5, "1 deselected in 0.1s\n", "")
    assert faults.verdict(slow) == (False, "LIVES: no test ran: 1 deselected in 0.1s")
