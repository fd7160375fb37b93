"""Grids: every combination of some per-trial settings as the trials of one experiment."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from helpers import ONE_DEVICE, STREAK, rows_of, run

from jaxrnn import Experiment, InputError, Outcome
from jaxrnn.problems import SUITES
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product, run as run_all, run_sweep
from jaxrnn.training import host_loop

# Two trials of six combinations; as wide as the grid of the command line, so one program for both.
BASE = Experiment(length=5, trials=2, window=60, max_steps=500)
AXES = {"learning_rate": (1.0, 0.3), "forget_bias": (-1.0, 0.5, 1.0)}
COMBINATIONS = [
    {"learning_rate": rate, "forget_bias": bias}
    for rate in AXES["learning_rate"]
    for bias in AXES["forget_bias"]
]


def test_combinations_are_numbered_with_the_last_setting_first():
    axes = {"clip": (5.0, 1.0), "initial_scale": (2.0, 1.0, 3.0), "input_bias": (0.0, -1.0)}
    grid = product(replace(BASE, trials=4), axes)
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
    usual = {"name": "notebook", "trials": 2, **{name: getattr(BASE, name) for name in axes}}
    assert replace(grid, **usual) == BASE


def test_a_grid_without_settings_is_one_combination():
    assert product(BASE, {}) == replace(BASE, name="grid")


# Many experiments into one directory


@pytest.mark.parametrize(
    "command",
    [["sweep", "--lengths", "4", "--cells", "lstm"], ["grid", "--clip", "1", "5"], ["paper", "3a"]],
    ids=lambda command: command[0],
)
def test_the_lanes_asked_for_are_those_trained_at_once(command, tmp_path, monkeypatch, capsys):
    asked = []

    def run_none(members, *, lanes, **options):
        asked.append(lanes)
        raise InputError("that will do")

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", run_none)
    for flags, lanes in (([], None), (["--lanes", "3"], 3)):
        assert run(*command, *flags, "--out", tmp_path) == 2
        assert capsys.readouterr().err == "jaxrnn: that will do\n"
        assert asked[-1] == lanes
    assert len(asked) == 2


@pytest.fixture
def expanded(monkeypatch):
    """What a command would run, and where."""
    calls = []

    def note(experiments, out, **options):
        calls.append((experiments, out))
        raise InputError("that will do")

    monkeypatch.setattr("jaxrnn.cli.commands.run", note)

    def call(*words):
        assert run(*words) == 2
        return calls.pop()

    return call


def test_a_grid_takes_several_values_of_every_setting(expanded, standard_promotion):
    several = ["--optimizer", "clipped_sgd", "clipped_adam", "--hidden-size", "3", "4"]
    experiments, out = expanded(
        *("grid", "--cells", "lstm", "gru", "--lengths", "5", "6", "--trials", "2"),
        *(*several, "--clip", "1", "5"),
    )
    assert out == Path("runs/grid")
    axes = ("cell", "length", "optimizer", "hidden_size")
    found = [tuple(getattr(one, name) for name in axes) for one in experiments]
    choices = (("lstm", "gru"), (5, 6), ("clipped_sgd", "clipped_adam"), (3, 4))
    assert sorted(found) == sorted(itertools.product(*choices))
    assert {(one.name, one.trials, one.clip) for one in experiments} == {
        ("grid", 4, (1.0, 1.0, 5.0, 5.0))
    }


def test_commands_that_train_take_a_batch_size_and_a_grid_takes_several(expanded):
    (one,), _ = expanded(*("sweep", "--cells", "lstm", "--lengths", "4", "--batch-size", "3"))
    assert one.batch_size == 3
    grid, _ = expanded(
        *("grid", "--cells", "lstm", "--lengths", "4", "--trials", "2"),
        *("--batch-size", "3", "8", "--clip", "1", "2"),
    )
    assert [(one.batch_size, one.clip) for one in grid] == [
        (size, (1.0, 1.0, 2.0, 2.0)) for size in (3, 8)
    ]
    (one,), _ = expanded("paper", "6a", "--max-sequences", "2000", "--batch-size", "500")
    assert (one.batch_size, one.max_steps) == (500, 2000)


def test_another_task_begins_with_its_own_objective_and_without_the_others_options(expanded):
    (one,), out = expanded(*["sweep", "--task", "adding", "--cells", "lstm", "--lengths", "50"])
    assert (one.task, one.length, one.objective, one.max_steps) == ("adding", 50, None, 100_000)
    assert out == Path("runs/notebook-adding")
    (one,), out = expanded(
        *("sweep", "--experiment", "3a-n1", "--lengths", "100"),
        *("--task", "a/b.py:mine", "--objective", "c.py:d"),
    )
    assert (one.task, one.task_options, one.objective) == ("a/b.py:mine", (), "c.py:d")
    assert dict(SUITES["3a-n1"].base.task_options) == {"num_informative": 1}
    assert out == Path("runs/3a-n1-a_b.py_mine")


def test_any_net_is_trained_under_the_papers_conditions_with_as_many_units(expanded):
    (own, gru), out = expanded(*["paper", "6a", "--cells", "mine.py:mgu", "gru"])
    base = SUITES["6a"].at()
    assert base.hidden_size * dict(base.cell_options)["block_size"] == 4
    for one, cell in ((own, "mine.py:mgu"), (gru, "gru")):
        assert one == replace(base, cell=cell, cell_options=(), hidden_size=4)
    assert out == Path("runs/paper-6a")


def test_what_a_departure_changes_in_the_papers_net_another_cannot_take(tmp_path, capsys):
    departure = next(one for one in SUITES.values() if one.base.input_bias)
    assert run("paper", departure.base.name, "--cells", "gru", "--out", tmp_path / "run") == 2
    assert "needs a cell with that gate: gru has" in capsys.readouterr().err


def interrupted(experiment, path):
    """A run directory that a sweep left while an experiment was under way; its checkpoint."""

    def interrupt(experiment, tally):
        if any(path.glob("checkpoint-*")):
            raise KeyboardInterrupt

    with RunDirectory(path) as directory, pytest.raises(KeyboardInterrupt):
        run_sweep([experiment], directory, on_chunk=interrupt)
    (checkpoint,) = path.glob("checkpoint-*")
    return checkpoint


def test_the_checkpoint_of_another_experiment_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    own = replace(STREAK, cell="simple_rnn", length=20, trials=2, max_steps=5000, name="mine")
    checkpoint = interrupted(own, tmp_path / "own")
    others = interrupted(replace(own, max_steps=6000), tmp_path / "other")
    checkpoint.write_bytes(others.read_bytes())
    with (
        RunDirectory(tmp_path / "own") as directory,
        pytest.raises(InputError, match="was begun with max-steps 6000, not 5000"),
    ):
        run_sweep([own], directory)
    assert checkpoint.read_bytes() == others.read_bytes()
    assert not directory.rows


def test_experiments_that_share_trials_run_each_once(tmp_path):
    made, seen = [replace(STREAK, trials=trials) for trials in (2, 3, 1)], []
    with RunDirectory(tmp_path) as directory:
        assert directory.to_run([]) == {}
        run_sweep(
            made,
            directory,
            on_rows=lambda one, rows, new: seen.append((one.trials, len(rows), new)),
        )
    assert seen == [(3, 3, True), (2, 2, True), (1, 1, True)]
    assert [row["trial"] for row in rows_of(tmp_path)] == [0, 1, 2]
    with pytest.raises(InputError, match="name at least one experiment"):
        run_all([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_experiment_is_announced_before_it_is_compiled_and_a_kept_one_is_not(
    tmp_path, monkeypatch
):
    told, made = [], [replace(STREAK, trials=2, cell=cell) for cell in ("lstm", "gru")]

    def prepared(members, *, devices, **options):
        ((experiment, trials, _),) = members
        told.append(("compile", experiment.cell))
        outcomes = [Outcome(trial, "solved", 70, 10, 71, (0.5,)) for trial in trials]

        def train(on_chunk, on_end):
            on_end(0, outcomes)
            return ()

        return SimpleNamespace(train=train, devices=devices, keep_params=False)

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", prepared)
    for experiments in (made[:1], made):
        with RunDirectory(tmp_path) as directory:
            run_sweep(
                experiments,
                directory,
                on_start=lambda one: told.append(("start", one.cell)),
                on_rows=lambda one, rows, new: told.append(("rows", one.cell)),
            )
    events = ("start", "compile", "rows")
    first, second = ([(event, cell) for event in events] for cell in ("lstm", "gru"))
    assert told == [*first, ("rows", "lstm"), *second]


def test_rows_do_not_depend_on_what_is_trained_side_by_side(tmp_path, monkeypatch):
    one = Experiment(cell="simple_rnn", hidden_size=6, trials=4, window=50, max_steps=900)
    experiments = [replace(one, length=length) for length in (4, 5, 9)]
    for path in ("several", "alone"):
        with RunDirectory(tmp_path / path) as directory:
            run_sweep(experiments, directory)
        monkeypatch.setattr(jax, "devices", lambda: ONE_DEVICE)
    several, alone = ((tmp_path / path / "trials.jsonl") for path in ("several", "alone"))
    assert several.read_bytes() == alone.read_bytes()


def test_what_a_directory_holds_is_not_checked_again(tmp_path, monkeypatch):
    held, new = (Experiment(length=4, window=10, max_steps=10, trials=k) for k in (1, 2))
    rows = run_all(held, tmp_path / "out")
    checked = []
    monkeypatch.setattr("jaxrnn.sweeps.run.check", lambda one, *_, **__: checked.append(one))
    assert run_all(held, tmp_path / "out") == rows
    assert not checked
    run_all(new, tmp_path / "out")
    assert checked == [new]


def test_a_refused_run_leaves_no_directory_unless_it_was_there(tmp_path):
    bad = Experiment(cell="none_such", length=4)
    for path in (tmp_path / "new", tmp_path):
        with pytest.raises(InputError, match=r"^unknown cell"):
            run_all(bad, path)
    assert list(tmp_path.iterdir()) == []
