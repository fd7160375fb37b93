"""The nets of experiments 2a and 2b against their equations in NumPy; test_suites.py counts their
weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import plain
from jax.flatten_util import ravel_pytree

from jaxrnn.nets.base import unroll
from jaxrnn.nets.initializers import uniform
from jaxrnn.nets.paper_1997 import one_cell, self_recurrent

H, NUM_INPUTS, NUM_OUTPUTS, T = 2, 4, 3, 7
BUILDERS = {
    "one_cell": one_cell,
    "one_cell, bipolar": partial(one_cell, bipolar=True),
    "self_recurrent": self_recurrent,
}


def build(name: str, fast: bool = True):
    cell = BUILDERS[name](NUM_INPUTS, H, NUM_OUTPUTS)
    return cell if fast else plain(cell)


def random_case(cell) -> tuple:
    """Parameters of H units, state, inputs, targets."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda key: cell.init(key, uniform()), jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), shapes)
    arrays = rng.standard_normal(H), rng.standard_normal((T, NUM_INPUTS))
    return params, *map(jnp.asarray, (*arrays, rng.uniform(size=(T, NUM_OUTPUTS))))


def logistic(a):
    return 1 / (1 + np.exp(-a))


def in_numpy(name: str, params, state: np.ndarray, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last state and outputs, unit by unit and step by step."""
    p = {field: np.asarray(leaf) for field, leaf in params._asdict().items()}
    state, outputs = np.array(state), []
    for x in np.asarray(xs):
        old = state.copy()
        for j in range(H):
            a = x @ p["input_weights"][:, j]
            if name == "self_recurrent":
                state[j] = logistic(a + old @ p["recurrent_weights"][:, j])
            else:
                g = logistic(x @ p["input_weights"][:, H + j])
                state[j] += logistic(a) * (2 * g - 1 if "bipolar" in name else g)
        outputs.append(x @ p["direct_weights"] + state @ p["output_weights"])
    return state, np.stack(outputs)


def loss(cell, params, state, xs, targets):
    _, outputs = unroll(cell, params, xs, state)
    return 0.5 * jnp.sum((jax.nn.sigmoid(outputs) - targets) ** 2)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_outputs_and_gradient_are_the_equations(name, fast):
    cell = build(name, fast)
    params, state, xs, targets = random_case(cell)
    for ours, expected in zip(
        unroll(cell, params, xs, state), in_numpy(name, params, state, xs), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-13)

    flat, unravel = ravel_pytree(params)

    def of_flat(flat):
        _, outputs = in_numpy(name, unravel(jnp.asarray(flat)), state, xs)
        return 0.5 * np.sum((logistic(outputs) - np.asarray(targets)) ** 2)

    moves = 1e-5 * np.eye(len(flat))
    slope = [(of_flat(flat + move) - of_flat(flat - move)) / 2e-5 for move in moves]
    gradient = jax.grad(partial(loss, cell))(params, state, xs, targets)
    np.testing.assert_allclose(ravel_pytree(gradient)[0], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_symbol_is_its_one_hot_vector_and_the_first_state_zero(name, fast):
    cell = build(name, fast)
    params = cell.init(jax.random.key(1), uniform())
    np.testing.assert_array_equal(cell.initial_state(params), np.zeros(H))
    symbols = jnp.arange(T, dtype=jnp.int32) % NUM_INPUTS
    _, ours = unroll(cell, params, symbols)
    _, expected = unroll(cell, params, jax.nn.one_hot(symbols, NUM_INPUTS))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
