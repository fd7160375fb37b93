"""Training runs against the notebook's own, and what one trial draws, sees and is judged by."""

import re
from functools import partial

import jax
import notebook_numpy as notebook
import numpy as np
import pytest
from helpers import ONE_DEVICE, STREAK, of_trial, settings_of_one
from scipy.special import expit

from jaxrnn import SUITES, TASKS, Experiment, unroll
from jaxrnn.training.engine import Lanes, make_program
from jaxrnn.training.parts import FINAL, parts_of
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import Settings, Trial, build, settings_of, trial_key

SEED = 11


def beginnings(trial: Trial, numbers: np.ndarray, settings: Settings, steps: int) -> list:
    """A net and the coins, one a step, true for sequence A, of each of the trials; the settings are
    those of all of them."""
    draw_many, init = jax.jit(jax.vmap(trial.draw, in_axes=(None, 0))), jax.jit(trial.init)
    found = []
    for k, number in enumerate(numbers):
        key = trial_key(SEED, number)
        params = init(key, of_trial(settings, k)).params
        inputs = np.asarray(draw_many(key, np.arange(steps, dtype=np.int32)).inputs)
        coins = inputs[:, 0] == inputs.shape[1] - 1  # T-2, sequence A's first symbol
        found.append((notebook.from_jaxrnn(params), coins.tolist()))
    return found


# Three lanes each. The stack of simple nets is chaotic at a rate of 1: the transcription started
# from weights 1e-15 apart parts from itself within 20 steps.
CASES = [
    pytest.param("simple_rnn", 1, 20, 8, 400, (1.0, 0.6, 1.5), marks=pytest.mark.slow),
    pytest.param("simple_rnn", 3, 10, 4, 100, (0.2, 0.6, 0.5), marks=pytest.mark.slow),
    pytest.param("lstm", 1, 20, 5, 400, (1.0, 0.6, 1.5), marks=pytest.mark.slow),
    ("lstm", 2, 10, 4, 100, (1.0, 1.5, 3.0)),
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
    program = make_program(trial, chunk_steps, ONE_DEVICE)
    seeds = np.full(3, SEED, np.uint32)
    lanes = Lanes(seeds, numbers, np.zeros(3, np.int32), settings)
    state = program.first_state(trial.init, lanes)
    errors = []
    for _ in range(4):
        state, some_errors = program.chunk(state, lanes)
        errors.append(np.asarray(some_errors))
        lanes = lanes._replace(update=lanes.update + np.int32(chunk_steps))
    errors = np.concatenate(errors)

    for lane, (net, coins) in enumerate(beginnings(trial, numbers, settings, num_steps)):
        rate, clip = float(settings.learning_rate[lane]), float(settings.clip[lane])
        expected = list(notebook.train(cell, net, coins, rate, clip))
        np.testing.assert_allclose(errors[:, lane], expected, rtol=0, atol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", [pytest.param("simple_rnn", marks=pytest.mark.slow), "lstm"])
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


def test_keys_are_those_of_the_contract():
    key = jax.random.fold_in(jax.random.key(3, impl="threefry2x32"), 7)
    assert (jax.random.key_data(trial_key(3, 7)) == jax.random.key_data(key)).all()
    drawn = jax.jit(build(STREAK).draw)(key, np.int32(11))
    of_task = jax.jit(TASKS["noise_free"](5).draw)(jax.random.fold_in(key, 11))
    np.testing.assert_array_equal(drawn.inputs, of_task.inputs)
    # The first weights have a key that no step has.
    parts, weights_key = parts_of(STREAK), jax.random.fold_in(key, np.uint32(2**32 - 1))
    first = jax.jit(build(STREAK).init)(key, settings_of_one(STREAK)).params
    expected = jax.jit(parts.cell.init, static_argnums=1)(weights_key, parts.initializer)
    jax.tree.map(np.testing.assert_array_equal, first, expected)


@pytest.mark.parametrize(("platform", "at_once"), [("cpu", "1"), ("gpu", "11")])
def test_an_accelerator_takes_several_time_steps_at_once_in_training_and_tests(platform, at_once):
    experiment = SUITES["6a-best"].at(length=90, trials=1)
    trial, key = build(experiment, platform), trial_key(0, 0)
    assert trial.num_steps == 99
    settings = settings_of_one(experiment)
    state = jax.eval_shape(trial.init, key, settings)
    sequence = jax.eval_shape(trial.draw, key, np.int32(0))
    update = jax.make_jaxpr(trial.update)(state, settings, sequence, np.int32(0))
    test = jax.make_jaxpr(dict(trial.tests)[FINAL])(key, state.params)
    for traced in (update, test):
        over_time = re.findall(r"length=99[^\]]*?unroll=(\d+)", str(traced), re.S)
        assert set(over_time) == {at_once}


def test_before_it_joins_the_hidden_part_is_neither_seen_nor_trained():
    experiment = SUITES["2a"].at(length=6, trials=1, join_at=5, batch_size=2)
    trial, key = build(experiment), trial_key(0, 0)
    settings = settings_of_one(experiment)
    draw, update = jax.jit(jax.vmap(partial(trial.draw, key))), jax.jit(trial.update)
    outputs_of = jax.jit(jax.vmap(partial(unroll, parts_of(experiment).cell), (None, 0)))
    states = [jax.jit(trial.init)(key, settings)]
    for number in map(np.int32, range(5)):
        batch = draw(2 * number + np.arange(2, dtype=np.int32))
        state, errors = update(states[-1], settings, batch, number)
        params = states[-1].params
        if number < 3:  # the first update that begins late enough is that of sequences 6 and 7
            params = params._replace(output_weights=np.zeros_like(params.output_weights))
        _, outputs = outputs_of(params, batch.inputs)
        missed = np.abs(expit(outputs) - np.eye(6)[np.asarray(batch.targets)])
        np.testing.assert_allclose(errors, missed.max((1, 2)), rtol=1e-5)
        states.append(state)
    before, joined, after = (states[k].params for k in (0, 3, 5))
    for name in ("input_weights", "output_weights"):
        np.testing.assert_array_equal(getattr(before, name), getattr(joined, name))
        assert (getattr(joined, name) != getattr(after, name)).any()
    assert (before.direct_weights != joined.direct_weights).any()
