"""The examples run as they stand, and kept trials end as they did."""

import random
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from helpers import assert_trees_close, plain, settings_of_one

from jaxrnn import SUITES, Experiment, run_trials, unroll
from jaxrnn.store.rows import typed_rows
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import build, trial_key

ROOT = Path(__file__).parents[1]
# What is not here was made by an earlier version, as its page says.
KEPT = (
    *("claims-run", "grid-run", "horizon-run", "notebook-run", "paper-run"),
    "paper-run/readings",
)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("cell", "antisymmetric.py:antisymmetric"),
        pytest.param("cell", "equinox_cells.py:gru", marks=pytest.mark.slow),
        ("cell", "equinox_cells.py:lstm"),
        ("cell", "claims.py:lstm_chrono"),
        ("task", "custom_task.py:recall"),
    ],
)
def test_a_part_of_ones_own_is_trained(part, name):
    mine = {part: str(ROOT / "examples" / name)}
    outcomes = run_trials(Experiment(**mine, length=5, trials=3, max_steps=3000))
    assert [outcome.status for outcome in outcomes] == ["solved"] * 3


@pytest.mark.parametrize(("cell", "length"), [("simple_rnn", 6), ("lstm", 4)])
@pytest.mark.integration
def test_by_hand_trials_end_as_the_engines(cell, length):
    by_hand = runpy.run_path(str(ROOT / "examples/by_hand.py"))
    outcomes = run_trials(Experiment(cell=cell, length=length))
    with jax.numpy_rank_promotion("allow"):
        solved_at = by_hand["run"](by_hand[cell], length)
    assert solved_at == [outcome.solved_at for outcome in outcomes]


def test_importing_the_package_makes_no_array_and_changes_no_setting():
    program = (
        "import jax; before = dict(jax.config.values); import jaxrnn, jaxrnn.cli; "
        "assert dict(jax.config.values) == before; assert not jax.live_arrays()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "examples")
    OF_1997 = runpy.run_path(str(ROOT / "examples/readings.py"))
    EACH_STEP = runpy.run_path(str(ROOT / "examples/each_step.py"))
    del sys.modules["readings"]


def test_no_two_readings_are_the_same_and_those_with_updates_after_each_step_are_there():
    for experiment in OF_1997["READINGS"]:
        first, *others = OF_1997["readings"](experiment).values()
        base = SUITES[experiment].base  # as the command reads the paper
        for name in ("objective", "learning_rate", "cell_options", "join_at", "task_options"):
            assert getattr(first, name) == getattr(base, name)
        assert len({replace(one, name="reading") for one in (first, *others)}) == 1 + len(others)
    expected = [(name, words) for name, every in EACH_STEP["READINGS"].items() for words in every]
    assert [(one["experiment"], one["reading"]) for one in EACH_STEP["held"]()] == expected


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("experiment", "words", "at"),
    [
        pytest.param("1", "full-gradient", 7000, marks=pytest.mark.slow),
        ("2b", "g-bipolar last-step", 7000),
        ("2b", "as jaxrnn reads it", 0),  # before the cell joins
    ],
)
def test_small_changes_after_each_step_add_up_to_the_gradient_of_the_sequence(
    experiment, words, at
):
    made = replace(OF_1997["readings"](experiment)[words], length=20, learning_rate=2.0**-30)
    parts, trial, key = parts_of(made), build(made), trial_key(0, 0)
    params = trial.init(key, settings_of_one(made)).params
    sequence, number = trial.draw(key, jnp.array(at)), jnp.array(at)
    after, _ = jax.jit(EACH_STEP["updater"](made))(params, sequence, number)
    slopes = jax.tree.map(lambda old, new: (old - new) * 2.0**30, params, after)
    if at == 0:
        moved = {name for name, slope in slopes._asdict().items() if slope.any()}
        assert moved == {"direct_weights"}
        return

    @jax.jit
    @jax.grad
    def gradient(params):
        _, ys = unroll(plain(parts.cell), params, sequence[0])
        return EACH_STEP["loss_and_error"](parts.goal, ys, sequence)[0]

    assert_trees_close(slopes, gradient(params), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.slow
@pytest.mark.parametrize("kept", KEPT)
def test_kept_trials_end_as_they_did(kept):
    """One of each cell, at random among those that take seconds, trained by today's code.

    On another processor than the one that made them some end elsewhere: see
    docs/howto/run_directory.md. Sums over more than 512 time steps depend most on the processor, so
    trials of such lengths are left out.
    """
    of_cell: dict = {}
    for row in typed_rows(ROOT / "examples" / kept):
        cost = row.outcome.steps * row.experiment.length * (row.outcome.trial + 1)
        if cost < 3_000_000 and parts_of(row.experiment).task.num_steps <= 512:
            of_cell.setdefault(row.experiment.cell, []).append(row)
    assert of_cell
    for cell, rows in of_cell.items():
        row = random.Random(0).choice(rows)
        again = run_trials(replace(row.experiment, trials=row.outcome.trial + 1))[-1]
        assert replace(again, curve=()) == replace(row.outcome, curve=()), cell
