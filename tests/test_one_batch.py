"""Experiments whose trials pass through the same lanes: which these are, and that none notices the
others."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, STREAK, rows_of, run_sweep

from jaxrnn import load_weights, open_run
from jaxrnn.problems import settled
from jaxrnn.store.archives import tickets_of
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.training import lanes as sizes, loop
from jaxrnn.training.runner import prepare

BASE = replace(STREAK, trials=2)
ALIKE = [
    BASE,
    replace(BASE, seed=7, trials=3, learning_rate=(0.05, 0.5, 1.0)),
    replace(BASE, name="other", initializer="orthogonal", learning_rate=0.3),
    replace(BASE, initializer="chrono", forget_bias=1.0, trials=1),
]


@pytest.fixture
def loops(monkeypatch):
    """The tickets that each loop begins with, on one device."""
    noted = []

    def noting(tickets, **options):
        noted.append(list(tickets.waiting))
        return prepare(tickets, **options)

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", noting)
    monkeypatch.setattr(jax, "devices", lambda: ONE_DEVICE)
    return noted


def tickets(experiments):
    return [ticket for one in experiments for ticket in one.tickets()]


def sweep(path, experiments, **options):
    """Its rows."""
    with RunDirectory(path) as directory:
        run_sweep(experiments, directory, **options)
    return rows_of(path)


def test_what_differs_in_more_than_its_trials_has_a_batch_of_its_own():
    assert len({settled(one).batch() for one in ALIKE}) == 1
    others = [{"cell": "gru"}, {"hidden_size": 5}, {"length": 6}, {"task": "parity"}]
    others += [{"optimizer": "clipped_adam"}, {"batch_size": 2}, {"threshold": 0.2}]
    others += [{"window": 50}, {"max_steps": 800}, {"final_test": 10}]
    for change in others:
        assert settled(replace(BASE, **change)).batch() != settled(BASE).batch(), change


@pytest.fixture
def saves_often(monkeypatch):
    """There is a checkpoint after every chunk, and a chunk is short."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)


# One trial of the second ends at once, all others go on for long.
SLOW = [settled(replace(one, learning_rate=0.01, max_steps=200)) for one in ALIKE]
SLOW[1] = replace(SLOW[1], learning_rate=(1e38, 0.01, 0.01))


def under_way(path):
    """The trials of the checkpoint, if there is one."""
    return {ticket for file in path.glob("checkpoint-*.npz") for ticket in tickets_of(file)}


def test_a_killed_loop_goes_on_with_what_is_new(loops, tmp_path, saves_often):
    seen, left, alone = [], tmp_path / "killed", tmp_path / "alone"

    def kill(first, tally):
        seen.append(tally)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, SLOW[:3], on_chunk=kill, keep_weights=True)
    bad = SLOW[1].tickets()[0]
    assert under_way(left) == {*tickets(SLOW[:3])} - {bad}
    assert [row["status"] for row in rows_of(left)] == ["diverged"]  # its row is there at once
    first = []
    rows = sweep(left, SLOW, on_chunk=lambda _, tally: first.append(tally), keep_weights=True)
    assert loops == [tickets(SLOW[:3]), [one for one in tickets(SLOW) if one != bad]]
    assert first[0].trial_steps > seen[-2].trial_steps
    for k in range(4):
        of_each = sweep(alone, SLOW[: k + 1], keep_weights=True)
        assert loops[2 + k] == SLOW[k].tickets()
    assert rows == of_each
    for one, other in zip(*map(load_weights, (left, alone)), strict=True):
        assert (one.experiment, one.trials) == (other.experiment, other.trials)
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    assert not under_way(left)


def test_a_checkpoint_keeps_trials_that_nobody_asks_for_now(loops, tmp_path, saves_often):
    def kill(first, tally):
        if tally.steps_taken >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, SLOW, on_chunk=kill)
    steps = []
    sweep(tmp_path, SLOW[:1], on_chunk=lambda _, tally: steps.append(tally.trial_steps))
    assert steps[0] > 2 * 40
    assert under_way(tmp_path) == {*tickets(SLOW[1:])} - {SLOW[1].tickets()[0]}
    sweep(tmp_path, SLOW[1:], on_chunk=lambda _, tally: steps.append(tally.trial_steps))
    assert steps[-1] == 5 * 200
    assert not under_way(tmp_path)


def test_a_checkpoint_goes_with_its_program(loops, tmp_path, saves_often):
    with open_run(tmp_path, report=False) as run:
        run(SLOW[2])
        assert not under_way(tmp_path)  # and not only when the directory is left


def test_an_experiment_ends_with_its_last_trial(loops, tmp_path, saves_often):
    short, long = (
        settled(replace(BASE, learning_rate=rate, max_steps=200)) for rate in (1e38, 0.01)
    )
    told = []
    on_rows = {"on_rows": lambda one, rows, new: told.append(("rows", one))}
    sweep(tmp_path, [short, long], on_chunk=lambda *_: told.append("chunk"), **on_rows)
    assert loops == [tickets([short, long])]
    assert told == ["chunk", ("rows", short), *["chunk"] * 9, ("rows", long)]


def test_trials_of_one_search_join_the_lanes_of_another(loops, tmp_path):
    def asking(seed, rounds):
        for k in range(rounds):
            yield [replace(SLOW[0], seed=seed + k)]

    with open_run(tmp_path, report=False) as run:
        run.search([asking(0, 3), asking(10, 1)])
        assert len(run.directory.rows) == 8
    assert loops == [SLOW[0].tickets()]
