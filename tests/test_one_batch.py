"""Experiments that one batch trains: which these are, and that none notices the others."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, STREAK, Accelerator, rows_of

from jaxrnn import InputError, load_weights
from jaxrnn.problems import settled
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import run_sweep
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


def assert_same_rows_and_weights(*paths):
    rows, others = map(rows_of, paths)
    assert rows == others
    nets = list(map(load_weights, paths))
    assert [one.trials for one in nets[0]] == [one.trials for one in nets[1]]
    for one, other in zip(*nets, strict=True):
        assert one.experiment == other.experiment
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_each_has_the_rows_and_weights_that_it_has_alone(batches, tmp_path):
    experiments = list(map(settled, ALIKE))
    sweep(tmp_path / "together", experiments, keep_weights=True)
    assert batches == [experiments]
    for k, one in enumerate(experiments):
        sweep(tmp_path / "alone", experiments[: k + 1], keep_weights=True)
        assert batches[1 + k] == [one]
    assert len(rows_of(tmp_path / "alone")) == 8
    assert_same_rows_and_weights(tmp_path / "together", tmp_path / "alone")


@pytest.fixture
def saves_often(monkeypatch):
    """There is a checkpoint after every chunk, and a chunk is short."""
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)


# One trial of the second ends at once, all others go on for long.
SLOW = [settled(replace(one, learning_rate=0.01)) for one in ALIKE]
SLOW[1] = replace(SLOW[1], learning_rate=(1e38, 0.01, 0.01))


def statuses(path):
    """Of the trials of each checkpoint."""
    return sorted(np.load(file)["status"].tolist() for file in path.glob("checkpoint-*.npz"))


def test_a_killed_batch_goes_on_as_one_with_what_is_new(batches, tmp_path, saves_often):
    seen, left, whole = [], tmp_path / "killed", tmp_path / "whole"

    def kill(experiment, tally):
        seen.append((experiment, tally.trial_steps))
        if len(seen) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, SLOW[:3], on_chunk=kill, keep_weights=True)
    assert statuses(left) == [[0, 0], [0, 0], [3, 0, 0]]
    before, first = dict(seen), {}
    told = {"on_chunk": lambda one, tally: first.setdefault(one, tally)}
    sweep(left, SLOW, **told, keep_weights=True)
    assert batches == [SLOW[:3], SLOW]
    assert all(first[one].trial_steps > before[one] for one in SLOW[:3])
    sweep(whole, SLOW, keep_weights=True)
    assert_same_rows_and_weights(left, whole)
    for path in (left, whole):
        assert not list(path.glob("checkpoint-*.npz"))


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
        settled(replace(BASE, learning_rate=rate, threshold=0.01)) for rate in (1e38, 0.01)
    )
    told = []
    sweep(
        tmp_path,
        [short, long],
        on_chunk=lambda one, tally: told.append(("chunk", one)),
        on_rows=lambda one, rows, new: told.append(("rows", one)),
    )
    assert batches == [[short, long]]
    assert told.index(("rows", short)) < len(told) - 2
    assert told[-2:] == [("chunk", long), ("rows", long)]
    after = told[told.index(("rows", short)) + 1 :]
    assert ("chunk", short) not in after
    assert not list(tmp_path.glob("checkpoint-*.npz"))


def test_lanes_have_worked_for_all_that_they_hold(batches, tmp_path):
    tallies = {}
    sweep(tmp_path, ALIKE, on_chunk=lambda one, tally: tallies.update({one: tally}))
    assert len(tallies) == len(ALIKE)
    for tally in tallies.values():
        assert tally.trial_steps <= tally.lane_steps
        assert tally.running == 0


@pytest.mark.parametrize(
    ("where", "name", "place"),
    [
        pytest.param(runner, "check_memory", 3, id="estimate"),
        pytest.param(host_loop, "check_program", 2, id="program"),
    ],
)
def test_what_has_no_room_together_is_trained_one_by_one(
    where, name, place, batches, tmp_path, monkeypatch
):
    checks = getattr(where, name)

    def checked(*arguments):
        if arguments[place] > 3:  # the number of trials, or of lanes
            raise InputError("too many")
        return checks(*arguments)

    monkeypatch.setattr(where, name, checked)
    rows = sweep(tmp_path / "apart", ALIKE)
    assert [len(batch) for batch in batches] == [4, 1, 1, 1, 1]
    monkeypatch.undo()
    assert rows == sweep(tmp_path / "together", ALIKE)


def test_one_that_is_bad_keeps_no_other_from_its_rows(batches, tmp_path):
    bad = replace(BASE, initializer="none_such")
    with pytest.raises(InputError, match="unknown initializer"):
        sweep(tmp_path, [BASE, bad, ALIKE[1]])
    assert {row["seed"] for row in rows_of(tmp_path)} == {BASE.seed}


def test_work_gives_what_fits_in_its_order_and_knows_what_is_left(tmp_path):
    other = replace(BASE, length=6)
    made = list(map(settled, [BASE, other, *ALIKE[1:]]))
    steps = {one: one.trials * one.length * one.max_steps for one in made}
    told = []

    def fits(jobs, left):
        told.append(([job.experiment for job in jobs], left))
        return len(jobs) <= 3

    with RunDirectory(tmp_path, mixed=True) as directory:
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


def test_how_many_are_put_together(monkeypatch):
    assert most_together(ONE_DEVICE, is_replayed=False) == 2 * sizes.LANES_A_CORE
    assert most_together(ONE_DEVICE, is_replayed=True) == 8
    for is_replayed in (False, True):
        assert most_together([Accelerator()] * 2, is_replayed) == 512


@pytest.mark.parametrize("replayed", [{}, {"keep_weights": True}])
def test_a_run_puts_no_more_together(replayed, batches, tmp_path):
    made = [settled(replace(BASE, seed=seed, trials=6, max_steps=60)) for seed in range(3)]
    sweep(tmp_path, made, **replayed)
    assert [len(batch) for batch in batches] == ([1, 1, 1] if replayed else [3])
