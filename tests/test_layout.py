"""The parts of the package stand on each other as README.md shows them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import faults

PACKAGE = Path(__file__).parents[1] / "jaxrnn"

# From the ground up: a part may import what stands before it, and itself.
FLOORS = ["errors", "machine", "outcome", "experiment", "names", "nets", "problems"]
FLOORS += ["training", "store", "report", "trained", "inspection", "sweeps", "scorecard", "cli"]
FLOORS += ["__main__"]
NEVER = {("store", "training"), ("report", "training"), ("problems", "nets")}


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("jaxrnn"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= set(names) if node.module == "jaxrnn" else {node.module}
    return found


def test_no_part_imports_one_that_stands_on_it():
    seen = set()
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if part == "__init__":
            continue  # the package's own, above all of them but the command line
        seen.add(part)
        for module in imports_of(path):
            other = module.split(".")[1]
            assert FLOORS.index(other) <= FLOORS.index(part), f"{path.name} imports {module}"
            assert (part, other) not in NEVER, f"{path.name} imports {module}"
    assert seen == set(FLOORS)


def tree() -> str:
    """Every module with the first line of its docstring, a part above those that stand on it."""
    lines = ["    jaxrnn/"]
    for part in FLOORS:
        folder = PACKAGE / part
        if folder.is_dir():
            lines.append(f"      {part + '/':<22} {first_line(folder / '__init__.py')}")
            modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
            lines += [f"        {path.name:<20} {first_line(path)}" for path in modules]
        else:
            path = folder.with_suffix(".py")
            lines.append(f"      {path.name:<22} {first_line(path)}")
    return re.sub(r"(:\w+:)?`+([^`]+)`+", r"`\2`", "\n".join(lines))


def first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.splitlines()[0]


def test_contributing_shows_every_module():
    assert tree() in (PACKAGE.parent / "CONTRIBUTING.md").read_text(), tree()


def test_every_fault_of_the_table_has_its_place_and_its_tests():
    table = faults.read_faults()
    assert len(table) > 80
    assert faults.misfits(table) == []
    lost = table[0]._replace(old="nowhere to be found", tests=["test_layout.py::test_of_nothing"])
    assert len(faults.misfits([lost])) == 2


def test_faults_are_shared_out_and_none_is_caught_by_tests_that_do_not_run(monkeypatch, capsys):
    said, every = [], len(faults.read_faults())
    for part in ("1/2", "2/2"):
        monkeypatch.setattr(sys, "argv", ["faults.py", "--check", "--part", part])
        assert faults.main() == 0
        said.append(capsys.readouterr().out)
    assert said == [
        f"{number} faults have their places\n" for number in (-(-every // 2), every // 2)
    ]
    slow = subprocess.CompletedProcess([], 5, "1 deselected in 0.1s\n", "")
    assert faults.verdict(slow) == (False, "LIVES: no test ran: 1 deselected in 0.1s")
