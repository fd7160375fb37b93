"""JANET's beta, and what the minimal gated unit is told by initializers and settings; test_cells.py
has their equations."""

from functools import partial

import cells_numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_params, jit, random_params

from jaxrnn import Experiment, unroll
from jaxrnn.nets.gru import janet, mgu, ugrnn
from jaxrnn.nets.initializers import chrono

SIZES = 4, 3, 2


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0])
def test_beta_lets_in_more_than_is_forgotten(beta):
    cell = janet(*SIZES, beta=beta)
    params = random_params(cell)
    net = cells_numpy.from_jaxrnn("janet", params)
    xs = np.random.default_rng(0).standard_normal((6, 4))
    h, expected = np.zeros(3), []
    for x in xs:
        s = cells_numpy.pre(net, "forget", x, h)
        g = np.tanh(cells_numpy.pre(net, "candidate", x, h))
        h = cells_numpy.sigmoid(s) * h + (1 - cells_numpy.sigmoid(s - beta)) * g
        expected.append(h @ net.V + net.b_out)
    _, outputs = jit(partial(unroll, cell))(params, jnp.asarray(xs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("builder", [janet, ugrnn, mgu])
def test_open_and_shut_gates_have_finite_values_and_gradients(builder, size):
    cell = builder(*SIZES)
    params = jax.tree.map(lambda leaf: size * leaf, random_params(cell))
    xs = jnp.asarray(np.random.default_rng(0).standard_normal((50, 4)), jnp.float32)
    run = jit(jax.value_and_grad(lambda params: jnp.mean(unroll(cell, params, xs)[1] ** 2)))
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
