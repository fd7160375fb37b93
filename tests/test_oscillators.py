"""The coupled oscillatory net against its equations in NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FLOAT64, assert_trees_close, jit, plain, random_like, random_params
from jax.flatten_util import ravel_pytree

from jaxrnn.nets import unroll, xavier
from jaxrnn.nets.initializers import uniform
from jaxrnn.nets.oscillators import OscillatorState, co_rnn

SIZES = NUM_INPUTS, H, NUM_OUTPUTS = 4, 3, 2
T = 7
# As the program of the paper has them for sequential MNIST, and for the adding task.
OPTIONS = {
    "the default": ({}, (0.042, 2.7, 4.7)),
    "adding": ({"dt": 0.06, "gamma": 66.0, "epsilon": 15.0}, (0.06, 66.0, 15.0)),
    "fast": ({"dt": 0.5, "gamma": 1.0, "epsilon": 1.0}, (0.5, 1.0, 1.0)),
}


def random_case(name: str) -> tuple:
    cell = co_rnn(*SIZES, **OPTIONS[name][0])
    params = random_params(cell)
    assert all(np.all(np.asarray(leaf) != 0) for leaf in params)
    xs = np.random.default_rng(1).standard_normal((T, NUM_INPUTS))
    return cell, params, random_like(cell.initial_state(params), seed=2), xs


def in_numpy(name: str, params, state, xs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y and z after the last step, and the outputs, oscillator by oscillator."""
    dt, gamma, epsilon = OPTIONS[name][1]
    U, W, b, V, c = (np.asarray(leaf, np.float64) for leaf in params)
    W_y, W_z = W[:H], W[H:]
    y, z = (np.array(leaf) for leaf in state)
    outputs = []
    for x in xs:
        y_before, z_before = y.copy(), z.copy()
        for j in range(H):
            force = np.tanh(x @ U[:, j] + y_before @ W_y[:, j] + z_before @ W_z[:, j] + b[j])
            z[j] = z_before[j] + dt * (force - gamma * y_before[j] - epsilon * z_before[j])
            y[j] = y_before[j] + dt * z[j]  # the new z
        outputs.append(y @ V + c)
    return y, z, np.array(outputs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", OPTIONS)
def test_outputs_states_and_gradient_are_the_equations(name):
    cell, params, state, xs = random_case(name)
    y, z, outputs = in_numpy(name, params, state, xs)
    for form in (cell, plain(cell)):
        last, ours = jit(partial(unroll, form))(params, jnp.asarray(xs), state)
        assert isinstance(last, OscillatorState)
        np.testing.assert_allclose(last.hidden, y, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(last.velocity, z, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(ours, outputs, rtol=1e-12, atol=1e-13)

    flat, unravel = ravel_pytree((params, state))
    factors = np.random.default_rng(3).standard_normal((T, NUM_OUTPUTS))

    def of_equations(row):
        return np.vdot(factors, in_numpy(name, *unravel(jnp.asarray(row)), xs)[2])

    def of_cell(form, both):
        return jnp.vdot(factors, unroll(form, both[0], jnp.asarray(xs), both[1])[1])

    moves = 1e-5 * np.eye(len(flat))
    slope = [(of_equations(flat + m) - of_equations(flat - m)) / 2e-5 for m in moves]
    fast, slow = (jit(jax.grad(partial(of_cell, f)))((params, state)) for f in (cell, plain(cell)))
    np.testing.assert_allclose(ravel_pytree(fast)[0], slope, rtol=1e-6, atol=1e-9)
    assert_trees_close(fast, slow, **FLOAT64)


@pytest.mark.parametrize("initializer", [xavier(), uniform()])
def test_first_weights_and_biases_are_the_papers_whatever_the_initializer(initializer):
    num_inputs, hidden_size, num_outputs = 40, 30, 50
    params = co_rnn(num_inputs, hidden_size, num_outputs).init(jax.random.key(0), initializer)
    inner, outer = (1 / np.sqrt(fan_in) for fan_in in (40 + 2 * 30, 30))
    limits = (inner, inner, inner, outer, outer)
    sizes = ((40, 30), (60, 30), (30,), (30, 50), (50,))
    for values, limit, shape in zip(map(np.asarray, params), limits, sizes, strict=True):
        assert values.shape == shape
        assert np.abs(values).max() <= limit
        # Each misses once in a thousand times or less, but the keys are fixed.
        assert np.abs(values).max() > limit * (1 - 7 / values.size)
        assert abs(values.mean()) < 3.5 * limit / np.sqrt(3 * values.size)
    everything = np.concatenate(
        [np.ravel(leaf) / limit for leaf, limit in zip(params, limits, strict=True)]
    )
    assert len(np.unique(everything)) > 0.99 * everything.size


def test_undriven_oscillators_are_damped():
    cell = co_rnn(1, 2, 1)
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), xavier()))
    start = OscillatorState(jnp.array([1.0, -2.0]), jnp.array([0.0, 1.0]))
    last, _ = unroll(cell, params, jnp.zeros((1000, 1)), start)
    # y'' = -gamma y - epsilon y', whose slower root is the rate; dt is small beside it
    rate = (4.7 - np.sqrt(4.7**2 - 4 * 2.7)) / 2
    before, _ = unroll(cell, params, jnp.zeros((900, 1)), start)
    ratio = np.asarray(last.hidden) / np.asarray(before.hidden)
    np.testing.assert_allclose(np.log(ratio), -rate * 100 * 0.042, rtol=0.02)
