from operator import itemgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest

from jaxrnn.experiment import Experiment
from jaxrnn.training.engine import Lanes, empty_state, make_chunk
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import Settings, Trial, build, settings_of, trial_key

SEED = 11


class Beginning(NamedTuple):
    """What one trial starts from, for the transcription."""

    net: notebook.Net
    coins: list[bool]  # one a step, true for sequence A


def beginnings(trial: Trial, numbers: np.ndarray, settings: Settings, steps: int) -> list:
    """The beginning of each of the trials; the settings are those of all of them."""
    draw_many = jax.jit(jax.vmap(trial.draw, in_axes=(None, 0)))
    found = []
    for k, number in enumerate(numbers):
        key = trial_key(SEED, number)
        params = trial.init(key, jax.tree.map(itemgetter(k), settings)).params
        inputs = np.asarray(draw_many(key, jnp.arange(steps, dtype=jnp.int32)).inputs)
        coins = inputs[:, 0] == inputs.shape[1] - 1  # T-2, sequence A's first symbol
        found.append(Beginning(notebook.from_jaxrnn(params), coins.tolist()))
    return found


# Three lanes each. The stack of simple nets is chaotic at a rate of 1: the transcription started
# from weights 1e-15 apart parts from itself within 20 steps.
CASES = [
    ("simple_rnn", 1, 20, 5, 400, (1.0, 0.6, 1.5)),
    ("simple_rnn", 1, 20, 8, 400, (1.0, 0.6, 1.5)),
    ("simple_rnn", 3, 10, 4, 100, (0.2, 0.6, 0.5)),
    ("lstm", 1, 20, 5, 400, (1.0, 0.6, 1.5)),
    ("lstm", 1, 20, 8, 400, (1.0, 0.6, 1.5)),
    ("lstm", 3, 10, 4, 100, (1.0, 1.5, 3.0)),
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("cell", "layers", "hidden_size", "length", "num_steps", "rates"), CASES)
def test_errors_of_a_training_run_are_the_notebooks(
    cell, layers, hidden_size, length, num_steps, rates
):
    trial = build(Experiment(cell=cell, layers=layers, hidden_size=hidden_size, length=length))
    numbers = np.array([4, 0, 7], np.int32)
    # The notebook's bound, as good as none, and one that bites at 28 steps or more of each case.
    settings = settings_of(Experiment(learning_rate=rates, clip=(5.0, 1e30, 0.02), trials=3))
    chunk_steps = num_steps // 4
    devices = jax.devices()[:1]
    chunk = make_chunk(trial, SEED, chunk_steps, devices)
    lanes = Lanes(numbers, np.zeros(3, np.int32), settings)
    state = empty_state(trial, SEED, lanes, devices)
    errors = []
    for _ in range(4):
        state, some_errors = chunk(state, lanes)
        errors.append(np.asarray(some_errors))
        lanes = lanes._replace(step=lanes.step + np.int32(chunk_steps))
    errors = np.concatenate(errors)

    for lane, (net, coins) in enumerate(beginnings(trial, numbers, settings, num_steps)):
        rate, clip = float(settings.learning_rate[lane]), float(settings.clip[lane])
        expected = list(notebook.train(cell, net, coins, rate, clip))
        np.testing.assert_allclose(errors[:, lane], expected, rtol=0, atol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", notebook.BUILDERS)
def test_trials_are_solved_at_the_notebooks_step(cell):
    experiment = Experiment(cell=cell, length=4, trials=2, max_steps=1500, seed=SEED)
    outcomes = run_trials(experiment)
    settings = settings_of(experiment)
    expected = [
        notebook.run_experiment_1(cell, net, coins)
        for net, coins in beginnings(build(experiment), np.arange(2), settings, 1500)
    ]
    assert None not in expected
    assert expected[0] != expected[1]
    assert [outcome.solved_at for outcome in outcomes] == expected


def test_sequences_of_a_trial_are_fair_coins_independent_of_each_other_and_of_other_trials():
    trial = build(Experiment(length=4))
    num_steps = 4000
    steps = jnp.arange(num_steps, dtype=jnp.int32)
    draw_many = jax.jit(jax.vmap(trial.draw, in_axes=(None, 0)))
    ours, others = (
        np.asarray(draw_many(trial_key(SEED, number), steps).inputs)[:, 0] for number in (0, 1)
    )
    four_standard_errors = 4 * np.sqrt(0.25 / num_steps)
    for half_of_them in (ours == 2, ours[1:] == ours[:-1], ours == others):
        assert np.mean(half_of_them) == pytest.approx(0.5, abs=four_standard_errors)
