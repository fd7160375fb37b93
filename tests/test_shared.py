"""A batch of sequences that share the weights: the path that ``unroll`` takes, and its numbers."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn import CELLS, gru, lstm, stack, unroll, xavier
from jaxrnn.nets import base
from jaxrnn.nets.base import _share_weights
from jaxrnn.nets.gru import _gru_advance, _gru_gates, _gru_update
from jaxrnn.nets.lstm import LSTMState, _lstm_advance, _lstm_update, sigmoids_and_tanh

RNG = np.random.default_rng(0)
STEPS, SIZE = 7, 5
XS = RNG.normal(size=(SIZE, STEPS, 3)).astype(np.float32)
SYMBOLS = RNG.integers(0, 3, size=(SIZE, STEPS))


def two_layers(*sizes):
    return stack(lstm(sizes[0], sizes[1], 5), gru(5, *sizes[1:]), hidden=False)


def two_of_hidden_units(*sizes):
    return stack(lstm(sizes[0], sizes[1], 0), lstm(sizes[1], *sizes[1:]), hidden=True)


SHARED = {
    **{name: build for name, build in CELLS.items() if name != "memory_blocks"},
    "two layers": two_layers,
    "two of hidden units": two_of_hidden_units,
}
SHARED = {name: build for name, build in SHARED.items() if build(3, 4, 2).shared is not None}


def net_of(build):
    cell = build(3, 4, 2)
    return cell, cell.init(jax.random.key(1), xavier())


def scanned(cell, params, xs):
    return jax.lax.scan(partial(cell.step, params), cell.initial_state(params), xs)


def close(actual, expected, tolerance=2e-5):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_the_cells_of_gates_have_the_path():
    assert {"lstm", "gru", "janet", "lstm_peephole", "slstm"} <= set(SHARED)


QUICK = ("lstm", "gru", "lstm_peephole", "two layers")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in SHARED],
)
def test_outputs_states_and_gradients_are_those_of_the_step(name):
    cell, params = net_of(SHARED[name])
    xs = SYMBOLS if name in ("lstm", "gru") else XS

    def loss(run, params):
        last, ys = jax.vmap(lambda xs: run(cell, params, xs))(xs)
        return jnp.sum(jnp.sin(ys)) + sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(last))

    actual = jax.jit(jax.value_and_grad(partial(loss, unroll)))(params)
    expected = jax.jit(jax.value_and_grad(partial(loss, scanned)))(params)
    close(actual, expected, 1e-4)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_it_has_every_derivative(name):
    cell, params = net_of(SHARED[name])
    tangents = jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape).astype(leaf.dtype), params)

    def loss(run, params):
        return jnp.sum(jax.vmap(lambda xs: run(cell, params, xs)[1])(XS) ** 2)

    forward = [jax.jvp(partial(loss, run), (params,), (tangents,)) for run in (unroll, scanned)]
    close(*forward, 1e-4)

    def curvature(run):
        return jax.jvp(jax.grad(partial(loss, run)), (params,), (tangents,))[1]

    close(curvature(unroll), curvature(scanned), 1e-3)
    each = [
        jax.vmap(jax.grad(lambda params, xs: jnp.sum(run(cell, params, xs)[1])), (None, 0))  # noqa: B023
        for run in (unroll, scanned)
    ]
    close(each[0](params, XS), each[1](params, XS), 1e-4)


def test_the_steps_of_lstm_and_gru_have_the_derivatives_of_their_equations():
    """Those that are written out against JAX's own."""
    h, c, a = (RNG.normal(size=size).astype(np.float32) for size in (4, 4, 16))

    def by_jax(state, a):
        return _lstm_update((), state, *sigmoids_and_tanh(a, 4))

    operands = LSTMState(h, c), a
    ours, jaxs = (
        jax.jacfwd(function, (0, 1))(*operands) for function in (partial(_lstm_advance, ()), by_jax)
    )
    close(ours, jaxs)
    rest = tuple(RNG.normal(size=12).astype(np.float32) for _ in range(2))

    def of_gru(h, *rest):
        return _gru_update((), h, *_gru_gates((), h, *rest, np.zeros(12, np.float32)))

    ours, jaxs = (
        jax.jacfwd(function, (0, 1, 2))(h, *rest)
        for function in (partial(_gru_advance, ()), of_gru)
    )
    close(ours, jaxs)


def seen(transform):
    """What is said of the mapping inside of a transformation of ``run(params, xs)``."""
    answers = []

    def run(params, xs):
        answers.append(_share_weights(params, xs))
        return jnp.sum(xs) * params

    jax.make_jaxpr(transform(run))(*arguments_of(transform))
    return answers


def arguments_of(transform):
    sizes = {
        "one": ((), (3,)),
        "batch": ((), (5, 3)),
        "trials": ((4,), (4, 3)),
        "trials of batches": ((4,), (4, 5, 3)),
    }
    params, xs = sizes[transform.__doc__]
    return jnp.ones(params), jnp.ones(xs)


def alone(run):
    """one"""
    return jax.grad(run)


def batch(run):
    """batch"""
    return jax.vmap(run, (None, 0))


def gradient_of_batch(run):
    """batch"""
    return jax.jit(jax.grad(lambda params, xs: jax.vmap(run, (None, 0))(params, xs).sum()))


def gradient_of_each(run):
    """batch"""
    return jax.vmap(jax.grad(run), (None, 0))


def batch_in_a_loop(run):
    """batch"""

    def looped(params, xs):
        return jax.lax.scan(lambda c, _: (c, jax.vmap(run, (None, 0))(params, xs)), 0, None, 2)

    return looped


def trials(run):
    """trials"""
    return jax.vmap(jax.grad(run))


def trials_of_batches(run):
    """trials of batches"""
    return jax.vmap(jax.grad(lambda params, xs: jax.vmap(run, (None, 0))(params, xs).sum()))


@pytest.mark.parametrize(
    ("transform", "shared"),
    [
        (alone, False),
        (batch, True),
        (gradient_of_batch, True),
        (gradient_of_each, True),
        (batch_in_a_loop, True),
        (trials, False),
        (trials_of_batches, True),
    ],
)
def test_it_is_taken_where_the_innermost_vmap_maps_the_inputs_alone(transform, shared):
    assert set(seen(transform)) == {shared}


def test_other_devices_keep_their_path(monkeypatch):
    monkeypatch.setattr(base, "all_devices", lambda: [SimpleNamespace(platform="gpu")])
    assert seen(batch) == [False]
