"""Grids: every combination of some per-trial settings as the trials of one experiment."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import STREAK, rows_of, run, run_sweep

from jaxrnn import Experiment, InputError
from jaxrnn.problems import SUITES
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product, run as run_all

BASE = Experiment(length=5, trials=4, window=60, max_steps=500)


def test_combinations_are_numbered_with_the_last_setting_first():
    axes = {"clip": (5.0, 1.0), "initial_scale": (2.0, 1.0, 3.0), "input_bias": (0.0, -1.0)}
    grid = product(BASE, axes)
    assert (grid.name, grid.trials) == ("grid", 48)
    k = 0
    for clip in axes["clip"]:
        for scale in axes["initial_scale"]:
            for bias in axes["input_bias"]:
                for trial in range(4 * k, 4 * k + 4):
                    of_trial = [grid.per_trial(name)[trial] for name in axes]
                    assert of_trial == [clip, scale, bias]
                k += 1
    # Nothing else is changed.
    usual = {"name": "notebook", "trials": 4, **{name: getattr(BASE, name) for name in axes}}
    assert replace(grid, **usual) == BASE
    assert product(BASE, {}) == replace(BASE, name="grid")


@pytest.mark.integration
def test_every_command_that_trains_takes_the_lanes_and_keeps_the_weights_asked_for(
    tmp_path, monkeypatch, capsys
):
    asked = []

    def run_none(members, *, lanes, keep_params, **options):
        asked.append((lanes, keep_params))
        raise InputError("that will do")

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", run_none)
    for words in ("sweep lstm --lengths 4", "sweep --clip 1 5", "sweep --experiment 3a"):
        for flags in ("", " --lanes 3", " --keep-weights"):
            assert run(*(words + flags).split(), "--out", tmp_path) == 2
            assert capsys.readouterr().err == "jaxrnn: that will do\n"
    assert asked == [(None, False), (3, False), (None, True)] * 3


@pytest.fixture
def expanded(monkeypatch):
    """What a command would run, and where."""
    calls = []

    def note(experiments, out, **options):
        calls.append((experiments, out))
        raise InputError("that will do")

    monkeypatch.setattr("jaxrnn.cli.sweeping.run", note)

    def call(*words):
        assert run(*words) == 2
        return calls.pop()

    return call


def test_a_grid_takes_several_values_of_every_setting(expanded, standard_promotion):
    experiments, out = expanded(
        *("sweep", "lstm", "gru", "--lengths", "5", "6", "--trials", "2"),
        *("--optimizer", "clipped_sgd", "clipped_adam", "--batch-size", "3", "8"),
        *("--clip", "1", "5"),
    )
    assert out == Path("runs/grid")
    axes = ("cell", "length", "optimizer", "batch_size")
    found = [tuple(getattr(one, name) for name in axes) for one in experiments]
    choices = (("lstm", "gru"), (5, 6), ("clipped_sgd", "clipped_adam"), (3, 8))
    assert sorted(found) == sorted(itertools.product(*choices))
    assert {(one.name, one.trials, one.clip) for one in experiments} == {
        ("grid", 4, (1.0, 1.0, 5.0, 5.0))
    }
    tasks, out = expanded("sweep", "lstm", "--tasks", "parity", "adding", "--lengths", "12")
    assert [(one.name, one.task) for one in tasks] == [("grid", "parity"), ("grid", "adding")]
    assert out == Path("runs/grid")


def test_another_task_begins_with_its_own_objective_and_without_the_others_options(expanded):
    (one,), out = expanded("sweep", "lstm", "--tasks", "adding", "--lengths", "50")
    assert (one.task, one.length, one.objective, one.max_steps) == ("adding", 50, None, 100_000)
    assert out == Path("runs/notebook-adding")
    (one,), out = expanded(
        *("sweep", "--experiment", "3a-n1", "--lengths", "100"),
        *("--tasks", "a/b.py:mine", "--objective", "c.py:d"),
    )
    assert (one.task, one.task_options, one.objective) == ("a/b.py:mine", (), "c.py:d")
    assert dict(SUITES["3a-n1"].base.task_options) == {"num_informative": 1}
    assert out == Path("runs/3a-n1-a_b.py_mine")


def test_any_net_is_trained_under_the_papers_conditions_with_as_many_units(expanded):
    (own, gru), out = expanded("sweep", "mine.py:mgu", "gru", "--experiment", "6a")
    base = SUITES["6a"].at()
    assert base.hidden_size * dict(base.cell_options)["block_size"] == 4
    for one, cell in ((own, "mine.py:mgu"), (gru, "gru")):
        assert one == replace(base, cell=cell, cell_options=(), hidden_size=4)
    assert out == Path("runs/6a")


def test_what_a_departure_changes_in_the_papers_net_another_cannot_take(tmp_path, capsys):
    departure = next(one for one in SUITES.values() if one.base.input_bias)
    asked = ["--experiment", departure.base.name, "--out", tmp_path / "run"]
    assert run("sweep", "gru", *asked) == 2
    assert "needs a cell with that gate: gru has" in capsys.readouterr().err


def test_experiments_that_share_trials_run_each_once_and_kept_ones_are_not_announced(tmp_path):
    made, seen, started = [replace(STREAK, trials=trials) for trials in (2, 3, 1)], [], []
    told = {
        "on_rows": lambda one, rows, new: seen.append((one.trials, len(rows), new)),
        "on_start": lambda first: started.append(first.trial),
    }
    with RunDirectory(tmp_path) as directory:
        run_sweep(made, directory, **told)
        run_sweep(made[1:], directory, **told)
    assert {*seen[:3]} == {(3, 3, True), (2, 2, True), (1, 1, True)}  # as they end
    assert seen[3:] == [(3, 3, False), (1, 1, False)]
    assert started == [0]
    assert [row["trial"] for row in rows_of(tmp_path)] == [0, 1, 2]
    with pytest.raises(InputError, match="name at least one experiment"):
        run_all([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_a_directory_holds_is_not_checked_again(tmp_path, monkeypatch):
    held, new = (replace(STREAK, trials=trials) for trials in (1, 2))
    rows = run_all(held, tmp_path / "out", report=False)
    checked = []
    monkeypatch.setattr("jaxrnn.sweeps.run.check", lambda one, *_, **__: checked.append(one))
    assert run_all(held, tmp_path / "out", report=False) == rows
    assert not checked
    run_all(new, tmp_path / "out", report=False)
    assert checked == [new]


def test_a_refused_run_leaves_no_directory_unless_it_was_there(tmp_path):
    bad = Experiment(cell="none_such", length=4)
    for path in (tmp_path / "new", tmp_path):
        with pytest.raises(InputError, match=r"^unknown cell"):
            run_all(bad, path)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_what_would_be_trained_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = ("gru", "--tasks", "parity", "--dry-run")
    assert run("sweep", *common, "--lengths", 8, 16, "--clip", 1, 5, "--max-steps", 5000) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["gru", "parity", "8", "20", "≤100,000"] in lines
    assert ["gru", "parity", "16", "20", "≤100,000"] in lines
    monkeypatch.setattr("jaxrnn.yardstick.run.seconds_a_time_step", lambda *_, **__: 1e-6)
    assert run("horizon", *common, "--quick", "--longest-lag", 16) == 0
    assert "gru    19   1,294    19    120" in capsys.readouterr().out
    # What the run would refuse, this does, too.
    assert run("sweep", "foo", "--dry-run") == 2
    assert "unknown cell 'foo'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
