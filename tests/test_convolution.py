"""A causal convolution in front of a cell: its equations, in a stack, and as a setting."""

from functools import partial

import cells_numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FLOAT64, assert_trees_close, random_params, random_symbols, random_vectors

from jaxrnn import CELLS, Experiment, InputError, unroll, xavier
from jaxrnn.nets.base import unroll_together
from jaxrnn.nets.layers import convolved
from jaxrnn.nets.orthogonal import OrthogonalParams
from jaxrnn.training.parts import cell_of

I, D, H, O, T = 4, 5, 3, 2, 9  # noqa: E741


def by_hand(params, xs, width):
    """c(t) of every step, in loops."""
    E, K, b = (np.asarray(leaf, np.float64) for leaf in params[:3])
    e = [np.zeros(D)] * (width - 1) + [x @ E for x in np.asarray(xs)]
    rows = []
    for t in range(len(xs)):
        a = b.copy()
        for j in range(width):
            a += K[width - 1 - j] * e[t + width - 1 - j]
        rows.append(a / (1.0 + np.exp(-a)))
    return np.array(rows)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("name", "width"), [("lstm", 2), ("gru", 4), ("delta_net", 4)])
def test_the_cell_sees_the_convolution_of_its_last_inputs(name, width):
    cell = convolved(CELLS[name](D, H, O), I, D, width)
    params, xs = random_params(cell, seed=3), random_vectors((T, I))
    first = jax.tree.map(np.asarray, cell.initial_state(params).cell)
    state = first if isinstance(first, tuple) else (first,)
    expected = cells_numpy.run(name, params.cell, by_hand(params, xs, width), state)
    last, ys = jax.jit(partial(unroll, cell))(params, xs)
    np.testing.assert_allclose(ys, expected.outputs, rtol=1e-12, atol=1e-12)
    e = np.asarray(xs) @ np.asarray(params.embedding)
    np.testing.assert_allclose(last.before, e[T - width + 1 :], rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_every_way_to_compute_it_gives_the_same():
    cell = convolved(CELLS["lstm"](D, H, O), I, D)
    params = random_params(cell, seed=3)
    xs = np.stack([random_symbols((T, I), seed) for seed in range(3)])
    plain = cell._replace(unroll=None, shared=None, together=None)

    run = jax.jit(unroll, static_argnums=0)
    last, alone = jax.device_get(run(plain, params, np.eye(I)[xs[0]]))
    assert_trees_close(run(cell, params, xs[0]), (last, alone), **FLOAT64)
    batch = jax.jit(jax.vmap(partial(unroll, cell, params)))(xs)
    assert_trees_close(jax.tree.map(lambda leaf: leaf[0], batch), (last, alone), **FLOAT64)
    together = jax.jit(partial(unroll_together, cell))(params, xs)
    np.testing.assert_allclose(together, batch[1], **FLOAT64)
    _, after = run(cell, params, xs[0], last)
    expected = run(plain, params, np.eye(I)[xs[0]], last)[1]
    np.testing.assert_allclose(after, expected, **FLOAT64)
    start = jax.eval_shape(cell.initial_state, params)
    seen = jax.eval_shape(cell.activations, params, start, xs[0][0])
    assert set(seen) == {*cell.gates}


def test_its_first_weights_are_those_of_mambas_code():
    cell = convolved(CELLS["lstm"](400, H, O), I, 400)
    params = jax.jit(partial(cell.init, initializer=xavier()))(jax.random.key(0))
    assert params.kernel.shape == (4, 400)
    for leaf in (params.kernel, params.bias):
        assert -0.5 <= leaf.min() < -0.45
        assert 0.45 < leaf.max() <= 0.5
        assert abs(leaf.mean()) < 4 * 0.29 / leaf.size**0.5


def test_what_the_cell_prescribes_holds_behind_it():
    cell = convolved(CELLS["exp_rnn"](D, H, O), I, D)
    factors = cell.rate_factors(random_params(cell))
    assert factors.embedding == factors.kernel == 1.0
    assert factors.cell == OrthogonalParams(1.0, 0.1, 1.0, 1.0, 1.0)
    assert convolved(CELLS["lstm"](D, H, O), I, D).rate_factors is None
    bounded = convolved(CELLS["ind_rnn"](D, H, O, recurrent_bound=0.5), I, D)
    params = random_params(bounded, seed=1)
    params = params._replace(cell=params.cell._replace(recurrent_weights=jnp.full(H, 2.0)))
    assert bounded.project(params).cell.recurrent_weights.max() == 0.5
    joining = bounded.before_joining(params)
    assert not joining.cell.output_weights.any()
    np.testing.assert_array_equal(joining.embedding, params.embedding)


def test_every_layer_of_an_experiment_has_one_of_a_width_of_at_least_two():
    experiment = Experiment(
        cell="simple_rnn", length=6, hidden_size=7, layers=2, stack_hidden=True, convolution=3
    )
    layers = random_params(cell_of(experiment))
    assert [layer.kernel.shape for layer in layers] == [(3, 7), (3, 7)]
    assert [layer.embedding.shape for layer in layers] == [(6, 7), (7, 7)]
    with pytest.raises(InputError, match="width 1 must be at least 2"):
        convolved(CELLS["lstm"](D, H, O), I, D, 1)
    with pytest.raises(InputError, match="convolution 1 must be 0 for none, or at least 2"):
        Experiment(convolution=1)
