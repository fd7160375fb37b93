"""What a cell prescribes for its updates: a factor of the learning rate, and a projection."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn import (
    CELLS,
    Experiment,
    InputError,
    ind_rnn,
    lstm,
    run_trials,
    simple_rnn,
    stack,
    xavier,
)
from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.trial import build

SMALL = {"length": 5, "hidden_size": 3, "trials": 2, "max_steps": 60, "window": 50}


def hooked(num_inputs, hidden_size, num_outputs, *, factor=0.5, bound):
    """A simple net whose recurrent weights have a rate of their own and a bound."""

    def factors(params):
        return jax.tree.map(lambda leaf: 1.0, params)._replace(recurrent_weights=factor)

    def bounded(params):
        return params._replace(recurrent_weights=jnp.clip(params.recurrent_weights, -bound, bound))

    cell = simple_rnn(num_inputs, hidden_size, num_outputs)
    return cell._replace(rate_factors=factors, project=bounded)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(CELLS, "hooked", hooked)


def weights_after_one_update(**settings):
    """The parameters of all trials, first ones and those that the update leaves."""
    experiment = Experiment(**SMALL, optimizer="clipped_adam", learning_rate=0.1, **settings)
    trial, lanes = build(experiment), lanes_of(experiment)
    program = make_program(trial, 1, jax.devices()[:1])
    state = program.first_state(trial.init, lanes)
    first = jax.device_get(state.params)  # the chunk gives up the state's memory
    state, _ = program.chunk(state, lanes)
    return first, jax.device_get(state.params)


def test_a_factor_scales_the_step_of_its_weights_alone_and_they_are_projected_after_it():
    first, plain = weights_after_one_update(cell="simple_rnn")
    _, ours = weights_after_one_update(cell="hooked", cell_options={"bound": 0.3})
    slower = first.recurrent_weights + 0.5 * (plain.recurrent_weights - first.recurrent_weights)
    expected = np.clip(slower, -0.3, 0.3)
    assert 0 < (expected != slower).mean() < 1
    np.testing.assert_allclose(ours.recurrent_weights, expected, rtol=1e-5, atol=1e-7)
    assert np.abs(ours.recurrent_weights).max() == np.float32(0.3)
    for one, other in zip(ours, plain, strict=True):
        if one is not ours.recurrent_weights and not isinstance(one, tuple):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_indrnn_keeps_its_recurrent_weights_within_their_bound():
    """Li et al. 2018: |u| at most 2^(1/T)."""
    cell = ind_rnn(3, 3, 3, recurrent_range=(-0.9, 1.0), recurrent_bound=0.3)
    params = cell.project(cell.init(jax.random.key(0), xavier()))
    assert np.abs(params.recurrent_weights).max() == np.float32(0.3)


def test_each_layer_of_a_stack_has_its_own_hooks():
    cell = stack(hooked(3, 4, 5, bound=0.1), lstm(5, 4, 2), hooked(2, 4, 2, factor=0.25, bound=0.2))
    params = cell.init(jax.random.key(0), xavier())
    factors = cell.rate_factors(params)
    assert [layer.recurrent_weights for layer in factors] == [0.5, 1.0, 0.25]
    projected = cell.project(params)
    most = [float(np.abs(layer.recurrent_weights).max()) for layer in projected]
    assert most[0] == np.float32(0.1)
    assert most[2] == np.float32(0.2)
    assert projected[1] is params[1]
    assert stack(lstm(3, 4, 5), lstm(5, 4, 2)).project is None


@pytest.mark.parametrize(
    ("hooks", "sentence"),
    [
        (
            {"rate_factors": lambda params: jax.tree.map(lambda leaf: jnp.ones(2), params)},
            "cell wrong has a rate_factors that does not give one value for each weight",
        ),
        ({"project": lambda params: 1 / 0}, "cell wrong fails with ZeroDivisionError"),
    ],
)
def test_a_wrong_hook_gets_one_sentence(hooks, sentence, monkeypatch):
    monkeypatch.setitem(CELLS, "wrong", lambda *sizes: lstm(*sizes)._replace(**hooks))
    with pytest.raises(InputError) as refusal:
        run_trials(Experiment(cell="wrong", **SMALL))
    assert sentence in str(refusal.value)
