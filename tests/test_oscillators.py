"""The coupled oscillatory net: first weights, and oscillators that nothing drives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn.nets import unroll, xavier
from jaxrnn.nets.initializers import uniform
from jaxrnn.nets.oscillators import OscillatorState, co_rnn


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
