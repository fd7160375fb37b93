"""Experiments that one batch trains: which these are, and that none notices the others."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import BY_TEST, ONE_DEVICE, STREAK, WINDOW, Accelerator, rows_of

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


@pytest.mark.parametrize(
    ("base", "lanes"),
    [
        pytest.param(STREAK, None, id="None-streak"),
        pytest.param(WINDOW, None, id="None-window"),
        pytest.param(BY_TEST, 4, id="4-by test"),
        pytest.param(STREAK, 4, id="4-streak", marks=pytest.mark.slow),
        pytest.param(WINDOW, 4, id="4-window", marks=pytest.mark.slow),
        pytest.param(BY_TEST, None, id="None-by test", marks=pytest.mark.slow),
    ],
)
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


@pytest.fixture
def saves_often(monkeypatch):
    """There is a checkpoint after every chunk, and a chunk is short."""
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)


# One trial of the second ends at once, all others go on for long.
SLOW = [settled(replace(one, learning_rate=0.01)) for one in ALIKE]
SLOW[1] = replace(SLOW[1], learning_rate=(1e38, 0.01, 0.01))


@pytest.mark.parametrize("keep_weights", [False, True])
def test_a_killed_batch_goes_on_as_one_from_a_checkpoint_of_each(
    keep_weights, batches, tmp_path, saves_often
):
    seen, left = [], tmp_path / "killed"

    def kill(experiment, tally):
        seen.append((experiment, tally.trial_steps))
        if len(seen) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, SLOW, on_chunk=kill, keep_weights=keep_weights)
    files = [np.load(path) for path in left.glob("checkpoint-*.npz")]
    assert sorted(file["status"].tolist() for file in files) == [[0], [0, 0], [0, 0], [3, 0, 0]]
    before, seen = dict(seen), []
    told = {"on_chunk": lambda *of_chunk: seen.append(of_chunk), "keep_weights": keep_weights}
    rows = sweep(left, SLOW, **told)
    assert batches == [SLOW, SLOW]
    for one in SLOW:
        first = next(tally for experiment, tally in seen if experiment == one)
        assert first.trial_steps > before[one]
    assert rows == sweep(tmp_path / "whole", SLOW, keep_weights=keep_weights)
    for path in (left, tmp_path / "whole"):
        assert not list(path.glob("checkpoint-*.npz"))
    if keep_weights:
        for one, other in zip(*map(load_weights, (left, tmp_path / "whole")), strict=True):
            jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_what_goes_on_is_in_one_batch_with_what_is_new(batches, tmp_path, saves_often):
    def kill(experiment, tally):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "killed", SLOW[1:2], on_chunk=kill)
    rows = sweep(tmp_path / "killed", SLOW)
    assert batches == [SLOW[1:2], SLOW]
    assert rows == sweep(tmp_path / "whole", SLOW)


def test_trials_that_wait_for_a_lane_lose_nothing(batches, tmp_path, saves_often):
    left = tmp_path / "killed"

    def kill(experiment, tally):
        if tally.diverged:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(left, SLOW, on_chunk=kill, lanes=3)
    files = [np.load(path) for path in left.glob("checkpoint-*.npz")]
    # The lane of the one that has ended is the next one's.
    assert sorted(file["status"].tolist() for file in files) == [[0, 0], [3, 0, 0]]
    assert sorted(file["next_trial"].tolist() for file in files) == [2, 2]
    assert sweep(left, SLOW) == sweep(tmp_path / "whole", SLOW)
    assert batches == [SLOW] * 3


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


@pytest.mark.parametrize("where", ["estimate", "program"])
def test_what_has_no_room_together_is_trained_one_by_one(where, batches, tmp_path, monkeypatch):
    check_memory, check_program = runner.check_memory, host_loop.check_program

    def estimated(experiment, lanes, chunk_steps, num_trials, *others):
        if num_trials > 3:
            raise InputError("too many")
        return check_memory(experiment, lanes, chunk_steps, num_trials, *others)

    def compiled(experiment, run, width, *others):
        if width > 3:
            raise InputError("too many")
        check_program(experiment, run, width, *others)

    if where == "estimate":
        monkeypatch.setattr(runner, "check_memory", estimated)
    else:
        monkeypatch.setattr(host_loop, "check_program", compiled)
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
