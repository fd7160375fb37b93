"""Experiments that one batch trains: which these are, and that none notices the others."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, STREAK, Accelerator, rows_of, run_sweep

from jaxrnn import InputError, load_weights
from jaxrnn.problems import settled
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.work import Work
from jaxrnn.training import host_loop, lanes as sizes, runner
from jaxrnn.training.lanes import most_together
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
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)


# One trial of the second ends at once, all others go on for long.
SLOW = [settled(replace(one, learning_rate=0.01, max_steps=200)) for one in ALIKE]
SLOW[1] = replace(SLOW[1], learning_rate=(1e38, 0.01, 0.01))


def statuses(path):
    """Of the trials of each checkpoint."""
    return sorted(np.load(file)["status"].tolist() for file in path.glob("checkpoint-*.npz"))


def test_a_killed_batch_goes_on_as_one_with_what_is_new(batches, tmp_path, saves_often):
    seen, left, alone = [], tmp_path / "killed", tmp_path / "alone"

    def kill(experiment, tally):
        seen.append((experiment, tally.trial_steps))
        if len(seen) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, SLOW[:3], on_chunk=kill, keep_weights=True)
    assert statuses(left) == [[0, 0], [0, 0], [3, 0, 0]]
    before, first = dict(seen), {}
    told = {"on_chunk": lambda one, tally: first.setdefault(one, tally)}
    rows = sweep(left, SLOW, **told, keep_weights=True)
    assert batches == [SLOW[:3], SLOW]
    assert all(first[one].trial_steps > before[one] for one in SLOW[:3])
    for k in range(4):
        of_each = sweep(alone, SLOW[: k + 1], keep_weights=True)
        assert batches[2 + k] == [SLOW[k]]
    assert rows == of_each
    for one, other in zip(*map(load_weights, (left, alone)), strict=True):
        assert (one.experiment, one.trials) == (other.experiment, other.trials)
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    assert not statuses(left)


def test_trials_that_wait_for_a_lane_lose_nothing(batches, tmp_path, saves_often):
    def kill(experiment, tally):
        if tally.diverged:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, SLOW, on_chunk=kill, lanes=3)
    # The lane of the one that has ended is the next one's.
    assert statuses(tmp_path) == [[0, 0], [3, 0, 0]]
    files = [np.load(path) for path in tmp_path.glob("checkpoint-*.npz")]
    assert sorted(file["next_trial"].tolist() for file in files) == [2, 2]


def test_an_experiment_ends_with_its_last_trial(batches, tmp_path, saves_often):
    short, long = (
        settled(replace(BASE, learning_rate=rate, max_steps=200)) for rate in (1e38, 0.01)
    )
    told, tallies = [], {}

    def on_chunk(one, tally):
        told.append(("chunk", one))
        tallies[one] = tally

    on_rows = {"on_rows": lambda one, rows, new: told.append(("rows", one))}
    sweep(tmp_path, [short, long], on_chunk=on_chunk, **on_rows)
    assert [tally.running for tally in tallies.values()] == [0, 0]
    assert batches == [[short, long]]
    assert told.index(("rows", short)) < len(told) - 2
    assert told[-2:] == [("chunk", long), ("rows", long)]
    after = told[told.index(("rows", short)) + 1 :]
    assert ("chunk", short) not in after
    assert not statuses(tmp_path)


def test_work_gives_what_fits_in_its_order_and_knows_what_is_left(tmp_path):
    other = replace(BASE, length=6)
    made = list(map(settled, [BASE, other, *ALIKE[1:]]))
    steps = {one: one.trials * one.length * one.max_steps for one in made}
    told = []

    def fits(jobs, left):
        told.append(([job.experiment for job in jobs], left))
        return len(jobs) <= 3

    with RunDirectory(tmp_path) as directory:
        work = Work(made, directory)
        assert work.most_steps() == sum(steps.values())
        job = work.next()
        taken = [one.experiment for one in work.beside(job, fits)]
        first, other, *alike = made
        assert (job.experiment, taken) == (first, alike[:2])
        left = steps[other]
        assert told == [
            ([first, alike[0]], left + steps[alike[1]] + steps[alike[2]]),
            ([first, *alike[:2]], left + steps[alike[2]]),
            ([first, *alike], left),
        ]
        assert [work.next(last).experiment for last in (True, True)] == [other, alike[2]]
        assert work.beside(job, fits) == []
        assert work.next() is None


def test_no_more_are_put_together_than_are_fast(batches, tmp_path, monkeypatch):
    assert most_together(ONE_DEVICE, is_replayed=False) == 2 * sizes.LANES_A_CORE
    assert most_together(ONE_DEVICE, is_replayed=True) == 8
    for is_replayed in (False, True):
        assert most_together([Accelerator()] * 2, is_replayed) == 512
    made = [settled(replace(BASE, seed=seed, trials=6, max_steps=60)) for seed in range(3)]
    asked = []

    def refuse(experiment, lanes, chunk_steps, num_trials, *others):
        asked.append(num_trials)
        raise InputError("no room")

    monkeypatch.setattr(runner, "check_memory", refuse)
    for replayed in ({}, {"keep_weights": True}):
        with pytest.raises(InputError, match="no room"):
            sweep(tmp_path, made, **replayed)
    # The first time all three were refused together, then the first of them.
    assert ([len(batch) for batch in batches], asked) == ([3, 1, 1], [18, 6, 6])
