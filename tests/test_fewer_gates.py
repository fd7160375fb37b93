"""The cells of one gate where it is open or shut, and what initializers and settings tell them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_params, random_params

from jaxrnn import Experiment, unroll
from jaxrnn.nets.gru import janet, mgu, ugrnn
from jaxrnn.nets.initializers import chrono

SIZES = 4, 3, 2


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("builder", [janet, ugrnn, mgu])
def test_open_and_shut_gates_have_finite_values_and_gradients(builder, size):
    cell = builder(*SIZES)
    params = jax.tree.map(lambda leaf: size * leaf, random_params(cell))
    xs = jnp.asarray(np.random.default_rng(0).standard_normal((50, 4)), jnp.float32)
    run = jax.jit(jax.value_and_grad(lambda params: jnp.mean(unroll(cell, params, xs)[1] ** 2)))
    value, gradients = run(params)
    assert value > 0
    assert all(np.isfinite(leaf).all() for leaf in (value, *jax.tree.leaves(gradients)))


@pytest.mark.parametrize(("builder", "sign"), [(janet, 1), (ugrnn, 1), (mgu, -1)])
def test_chrono_makes_every_cell_of_one_gate_keep_what_it_has(builder, sign):
    size, num_steps = 2000, 101
    params = builder(3, size, 3).init(jax.random.key(0), chrono(num_steps))
    gate, candidate = np.split(np.asarray(params.bias), 2)
    # exp of them uniform on [1, 100]
    times = np.exp(sign * gate)
    assert times.min() >= 1 - 1e-5
    assert times.max() <= 100 * (1 + 1e-5)
    assert times.mean() == pytest.approx(50.5, abs=4 * 99 / np.sqrt(12 * size))
    np.testing.assert_array_equal(candidate, np.zeros(size))
    # In a step of no input from h = 1 to the candidate 0, of weights 0, a part 1 / u is lost.
    zeros = params._replace(
        input_weights=jnp.zeros_like(params.input_weights),
        recurrent_weights=jnp.zeros_like(params.recurrent_weights),
    )
    h, _ = builder(3, size, 3).step(zeros, jnp.ones(size), jnp.zeros(3))
    np.testing.assert_allclose(h, times / (1 + times), rtol=1e-5)


def test_the_setting_input_bias_is_the_minimal_gated_units():
    usual = Experiment(cell="mgu", length=5, hidden_size=4, trials=1)
    told = first_params(Experiment(cell="mgu", length=5, hidden_size=4, trials=1, input_bias=-2.0))
    added = np.asarray(told.bias) - np.asarray(first_params(usual).bias)
    np.testing.assert_array_equal(added, [-2.0] * 4 + [0.0] * 4)
