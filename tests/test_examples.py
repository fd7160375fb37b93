"""The examples and the benchmarks' checks run as they stand."""

import re
import runpy
import sys
from pathlib import Path

import jax
import pytest

from jaxrnn import CELLS, TASKS, Experiment, run_trials

ROOT = Path(__file__).parents[1]


def test_the_minimal_gated_unit_trains(monkeypatch):
    path = ROOT / "examples" / "mgu.py"
    assert len(path.read_text().splitlines()) < 60
    monkeypatch.setitem(CELLS, "mgu", runpy.run_path(str(path))["mgu"])
    outcomes = run_trials(Experiment(cell="mgu", length=5, trials=3, max_steps=3000))
    assert [outcome.status for outcome in outcomes] == ["solved"] * 3


def test_the_task_of_ones_own_is_learned(monkeypatch, capsys):
    monkeypatch.setitem(TASKS, "recall", None)  # which the example replaces
    path = ROOT / "examples" / "custom_task.py"
    assert len(path.read_text().splitlines()) < 60
    runpy.run_path(str(path))["main"](length=4, trials=3)
    *_, last = capsys.readouterr().out.splitlines()
    steps = re.findall(r"\d+|None", last.partition(":")[2])
    assert len(steps) == 3
    assert all(1000 <= int(step) < 3000 for step in steps)  # all three are solved


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
