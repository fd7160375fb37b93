"""Experiments that one batch trains: which these are, and that none notices the others."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import BY_TEST, ONE_DEVICE, STREAK, WINDOW, rows_of

from jaxrnn import InputError, load_weights, run_trials
from jaxrnn.problems import settled
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import run_sweep
from jaxrnn.training import host_loop, lanes as sizes, runner
from jaxrnn.training.members import Member
from jaxrnn.training.runner import prepare

BASE = replace(STREAK, trials=2)
ALIKE = [
    BASE,
    replace(BASE, seed=7, trials=3, learning_rate=(0.05, 0.5, 1.0)),
    replace(BASE, name="other", initializer="orthogonal", learning_rate=0.3),
    replace(BASE, initializer="chrono", forget_bias=1.0, trials=1),
]


@pytest.fixture
def batches(monkeypatch):
    """The experiments of every batch that is prepared, on one device."""
    noted = []

    def noting(members, **options):
        noted.append([one.experiment for one in members])
        return prepare(members, **options)

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", noting)
    monkeypatch.setattr(jax, "devices", lambda: ONE_DEVICE)
    return noted


def sweep(path, experiments, **options):
    with RunDirectory(path, mixed=True) as directory:
        run_sweep(experiments, directory, **options)
    return rows_of(path)


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"hidden_size": 5},
        {"length": 6},
        {"task": "parity"},
        {"optimizer": "clipped_adam"},
        {"batch_size": 2},
        {"threshold": 0.2},
        {"window": 50},
        {"max_steps": 800},
        {"final_test": 10},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_in_more_than_its_trials_has_a_batch_of_its_own(change):
    assert len({settled(one).batch() for one in ALIKE}) == 1
    assert settled(replace(BASE, **change)).batch() != settled(BASE).batch()


@pytest.mark.parametrize("base", [STREAK, WINDOW, BY_TEST], ids=["streak", "window", "by test"])
@pytest.mark.parametrize("lanes", [None, 4])
def test_each_has_the_rows_and_weights_that_it_has_alone(base, lanes, batches, tmp_path):
    names = ("name", "seed", "trials", "initializer", "learning_rate", "forget_bias")
    changes = [{n: getattr(one, n) for n in names} for one in ALIKE]
    if base is not STREAK:  # its cell has no gates
        changes = [change | {"forget_bias": 0.0} for change in changes]
    experiments = [settled(replace(base, **change)) for change in changes]
    sweep(tmp_path / "together", experiments, lanes=lanes, keep_weights=True)
    assert batches == [experiments]
    for k, one in enumerate(experiments):
        sweep(tmp_path / "alone", experiments[: k + 1], keep_weights=True)
        assert batches[1 + k] == [one]
    together, alone = (rows_of(tmp_path / name) for name in ("together", "alone"))
    assert together == alone
    assert len(together) == 8
    nets = [load_weights(tmp_path / name) for name in ("together", "alone")]
    assert [(one.experiment, one.trials) for one in nets[0]] == [
        (one.experiment, one.trials) for one in nets[1]
    ]
    for one, other in zip(*nets, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_a_killed_batch_goes_on_from_a_checkpoint_of_each(batches, tmp_path, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)
    slow = [replace(one, learning_rate=0.01) for one in ALIKE]
    experiments = list(map(settled, slow))
    seen, left = [], tmp_path / "killed"

    def kill(experiment, tally):
        seen.append((experiment, tally.trial_steps))
        if len(seen) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, experiments, on_chunk=kill)
    assert len(list(left.glob("checkpoint-*.npz"))) == 4
    before, seen = dict(seen), []
    rows = sweep(left, experiments, on_chunk=lambda *of_chunk: seen.append(of_chunk))
    assert batches == [experiments, *([one] for one in experiments)]
    for one in experiments:
        first = next(tally for experiment, tally in seen if experiment == one)
        assert first.trial_steps > before[one]
    assert rows == sweep(tmp_path / "whole", experiments)
    assert not list(left.glob("checkpoint-*.npz"))


def test_a_trial_that_waits_for_a_lane_has_nothing_to_save(batches, tmp_path, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)
    experiments = [settled(replace(one, learning_rate=0.01)) for one in ALIKE]

    def kill(experiment, tally):
        if tally.trial_steps > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "killed", experiments, on_chunk=kill, lanes=3)
    assert len(list((tmp_path / "killed").glob("checkpoint-*.npz"))) == 2  # of 2 and 3 trials
    rows = sweep(tmp_path / "killed", experiments)
    assert [len(batch) for batch in batches] == [4, 1, 1, 2]
    assert rows == sweep(tmp_path / "whole", experiments)


def test_an_experiment_ends_with_its_last_trial(batches, tmp_path):
    long, short = (
        settled(replace(BASE, learning_rate=rate, threshold=0.01)) for rate in (0.01, 1e30)
    )
    told = []
    sweep(
        tmp_path,
        [long, short],
        on_chunk=lambda one, tally: told.append(("chunk", one)),
        on_rows=lambda one, rows, new: told.append(("rows", one)),
    )
    assert batches == [[long, short]]
    assert told.index(("rows", short)) < len(told) - 2
    assert told[-2:] == [("chunk", long), ("rows", long)]
    after = told[told.index(("rows", short)) + 1 :]
    assert ("chunk", short) not in after


def test_lanes_have_worked_for_all_that_they_hold(batches, tmp_path):
    tallies = {}
    sweep(tmp_path, ALIKE, on_chunk=lambda one, tally: tallies.update({one: tally}))
    assert len(tallies) == len(ALIKE)
    for tally in tallies.values():
        assert tally.trial_steps <= tally.lane_steps
        assert tally.running == 0


def test_a_batch_has_no_more_lanes_than_there_is_memory_for(monkeypatch):
    alone = [run_trials(one) for one in ALIKE]
    members = [Member(settled(one), range(one.trials)) for one in ALIKE]
    check_memory = runner.check_memory

    def room_for_two(experiment, lanes, chunk_steps, num_trials, *others):
        if num_trials > 2:
            raise InputError("too many")
        return check_memory(experiment, lanes, chunk_steps, num_trials, *others)

    monkeypatch.setattr(runner, "check_memory", room_for_two)
    run, ended = prepare(members, devices=ONE_DEVICE), {}
    assert run.batch.width == 3  # the least of a device
    for _ in run.train(lambda k, tally: None, ended.__setitem__):
        pass
    assert [ended[k] for k in range(4)] == alone
    with pytest.raises(InputError, match="too many"):
        prepare(members[1:2], devices=ONE_DEVICE)
