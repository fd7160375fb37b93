"""Batches: what an update by several sequences is, and what does not depend on their number."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest
from helpers import BY_TEST, FLOAT64, assert_trees_close, settings_of_one

from jaxrnn import Experiment, InputError, run_trials
from jaxrnn.outcome import curve_edges
from jaxrnn.problems import settled
from jaxrnn.training.memory import check_memory
from jaxrnn.training.trial import build, trial_key

SMALL = settled(
    Experiment(
        cell="simple_rnn",
        length=5,
        hidden_size=6,
        trials=3,
        window=60,
        max_steps=1500,
        batch_size=4,
    )
)


@cache
def programs(experiment):
    """What draws the sequences of an update, and a trial's own two functions."""
    size, built = experiment.batch_size, build(experiment)
    draw = build(replace(experiment, batch_size=1)).draw  # the sequences are those of any size

    def sequences(key, update):
        return jax.vmap(partial(draw, key))(size * update + np.arange(size, dtype=np.int32))

    return jax.jit(sequences), jax.jit(built.init), jax.jit(built.update)


def by_hand(experiment, trial):
    """(Status, steps, solved at, last above, errors, last weights) of a trial without a failure for
    a window: the rule in so many words, sequence by sequence."""
    sequences, init, update = programs(experiment)
    key, settings = trial_key(experiment.seed, trial), settings_of_one(experiment)
    state, errors, last_above = init(key, settings), [], 0
    for number in range(10**6):
        state, of_batch = update(
            state, settings, sequences(key, np.int32(number)), np.int32(number)
        )
        for error in np.asarray(of_batch):
            k = len(errors)
            errors.append(error)
            if error > experiment.threshold:
                last_above = k
            if k - last_above >= experiment.window:
                return "solved", k + 1, k, last_above, errors, state.params
            if k == experiment.max_steps - 1:
                return "unsolved", k + 1, None, last_above, errors, state.params


@pytest.mark.parametrize("cell", notebook.BUILDERS)
@pytest.mark.parametrize(("size", "clip"), [(2, 0.02), (16, 1e30)])
def test_an_update_goes_by_the_mean_gradient_of_its_sequences(cell, size, clip):
    """Against NumPy, element by element clipped after the mean is taken."""
    with jax.enable_x64(True):
        experiment = Experiment(
            cell=cell,
            length=6,
            hidden_size=5,
            trials=1,
            batch_size=size,
            learning_rate=0.7,
            clip=clip,
        )
        trial, settings = build(experiment), settings_of_one(experiment)
        state = trial.init(trial_key(0, 0), settings)
        drawn = [
            trial.draw(trial_key(0, 0), np.int32(number)) for number in range(2 * size, 3 * size)
        ]
        batch = jax.tree.map(lambda *parts: jnp.stack(parts), *drawn)
        after, errors = jax.jit(trial.update)(state, settings, batch, np.int32(2))
        net = notebook.from_jaxrnn(state.params)
        ours = notebook.from_jaxrnn(after.params)
    symbols = [np.append(one.inputs, one.targets[-1]) for one in drawn]
    sequences = [np.eye(6)[one] for one in symbols]
    of_each = [notebook.gradients(cell, net, sequence) for sequence in sequences]
    for layer, (before, updated) in enumerate(zip(net, ours, strict=True)):
        for name, value in before.items():
            mean = np.mean([one[layer][name] for one in of_each], axis=0)
            expected = value - 0.7 * np.clip(mean, -clip, clip)
            np.testing.assert_allclose(updated[name], expected, **FLOAT64, err_msg=name)
    assert errors.shape == (size,)


HOPELESS = replace(SMALL, max_steps=90, window=90, threshold=1e-6)


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(SMALL, id="solved"),
        # A cap that is no number of whole updates.
        pytest.param(replace(HOPELESS, batch_size=7), id="unsolved"),
    ],
)
def test_errors_count_one_by_one_and_a_trial_ends_within_an_update(experiment):
    kept = run_trials(experiment, keep_params=True)
    assert any(one.steps % experiment.batch_size for one in kept)
    solved = [one for one in kept if one.status == "solved"]
    assert len(solved) >= 2 or experiment is not SMALL
    for one in (solved or kept)[:2]:
        *ending, errors, params = by_hand(experiment, one.trial)
        assert [one.status, one.steps, one.solved_at, one.last_above] == ending
        edge = curve_edges(experiment.max_steps)[len(one.curve) - 1]
        assert one.curve[0] == pytest.approx(errors[0], rel=1e-4)
        assert one.curve[-1] == pytest.approx(np.mean(errors[edge:]), rel=1e-3)
        assert_trees_close(one.params, params, rtol=1e-3, atol=1e-4)


def test_a_wrong_batch_size_is_one_sentence(monkeypatch):
    small = replace(SMALL, window=10)
    with pytest.raises(InputError, match="batch-size 0 must be at least 1"):
        replace(small, batch_size=0)
    with pytest.raises(InputError, match=r"batch-size 2\.5 must be a whole number"):
        replace(small, batch_size=2.5)
    with pytest.raises(InputError, match="batch-size 11 must not be above max-steps 10"):
        replace(small, batch_size=11, max_steps=10)
    rule = "must be at least 24, the sequences before the first look at the test set"
    with pytest.raises(InputError, match=f"max-steps 20 {rule}"):
        replace(BY_TEST, batch_size=8, max_steps=20)
    monkeypatch.setattr("jaxrnn.training.memory.free_memory", lambda: 2e9)
    long = replace(SMALL, cell="lstm", length=1000, hidden_size=128, batch_size=1)
    check_memory(long, lanes=3)
    with pytest.raises(InputError, match="batch-size 100000"):
        check_memory(replace(long, batch_size=100_000, max_steps=100_000), lanes=3)
