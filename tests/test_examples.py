"""The examples, the benchmarks' checks and the README's code run as they stand."""

import re
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxrnn import CELLS, TASKS, Experiment

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables():
    """Give the tables back as they were."""
    cells, tasks = dict(CELLS), dict(TASKS)
    yield
    for table, before in ((CELLS, cells), (TASKS, tasks)):
        table.clear()
        table.update(before)


@pytest.mark.parametrize("name", ["custom_cell", "custom_task"])
def test_an_example_trains_what_it_adds(name, tables, capsys):
    path = ROOT / "examples" / f"{name}.py"
    assert len(path.read_text().splitlines()) < 60
    runpy.run_path(str(path))["main"](length=4, trials=3)
    *_, last = capsys.readouterr().out.splitlines()
    steps = re.findall(r"\d+|None", last.partition(":")[2])
    assert len(steps) == 3
    assert all(1000 <= int(step) < 3000 for step in steps)  # all three are solved


def test_the_readme_snippet_scans_maps_and_differentiates():
    text = (ROOT / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippet.strip().splitlines()) <= 12
    names: dict = {}
    exec(snippet, names)
    assert names["ys"].shape == (9, 10)
    assert names["batch"].shape == (32, 9, 10)
    gradient = names["gradient"].input_weights
    # The loss is the first output of the last step; only symbols that were seen have a gradient.
    assert (jnp.abs(gradient).sum(1) > 0).sum() == len(set(names["xs"].tolist()))


def test_the_readme_and_ci_run_the_same_test_command():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^ {4}(python3 -m venv .*)$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("jaxrnn sweep")
    assert commands[1].endswith("/pytest")
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
def test_the_benchmarked_formulations_compute_the_same(cell, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import training_step

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        training_step.check(Experiment(cell=cell, length=10, trials=3))
    monkeypatch.delitem(sys.modules, "training_step")


def test_importing_the_package_makes_no_array_and_changes_no_setting():
    import subprocess

    program = (
        "import jax; before = dict(jax.config.values); import jaxrnn, jaxrnn.cli; "
        "assert dict(jax.config.values) == before; assert not jax.live_arrays()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
