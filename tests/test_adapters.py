"""Cells of Flax and Equinox: the same numbers as ours from the same weights, trained like ours."""

import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FLOAT64, assert_trees_close, of_trial, random_like, random_params

from jaxrnn import CELLS, Experiment, InputError, lstm, run_trials, stack, unroll, xavier
from jaxrnn.nets.adapters import from_equinox, from_linen, from_nnx
from jaxrnn.nets.base import taking_symbols
from jaxrnn.nets.gated import GatedParams
from jaxrnn.nets.gru import gru

# Their names and shapes are theirs to change; the tests want them as they are, or not at all.
eqx = pytest.importorskip("equinox")
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")


def nnx_lstm(num_inputs, hidden_size, num_outputs):
    sizes = num_inputs, hidden_size, num_outputs
    return from_nnx(lambda rngs: nnx.LSTMCell(num_inputs, hidden_size, rngs=rngs), *sizes)


def nnx_optimized_lstm(num_inputs, hidden_size, num_outputs):
    sizes = num_inputs, hidden_size, num_outputs
    return from_nnx(lambda rngs: nnx.OptimizedLSTMCell(num_inputs, hidden_size, rngs=rngs), *sizes)


def nnx_gru(num_inputs, hidden_size, num_outputs):
    sizes = num_inputs, hidden_size, num_outputs
    return from_nnx(lambda rngs: nnx.GRUCell(num_inputs, hidden_size, rngs=rngs), *sizes)


def linen_lstm(num_inputs, hidden_size, num_outputs):
    return from_linen(nn.LSTMCell(hidden_size), num_inputs, hidden_size, num_outputs)


def linen_gru(num_inputs, hidden_size, num_outputs):
    return from_linen(nn.GRUCell(hidden_size), num_inputs, hidden_size, num_outputs)


def equinox_lstm(num_inputs, hidden_size, num_outputs):
    sizes = num_inputs, hidden_size, num_outputs
    return from_equinox(lambda key: eqx.nn.LSTMCell(num_inputs, hidden_size, key=key), *sizes)


def equinox_gru(num_inputs, hidden_size, num_outputs):
    sizes = num_inputs, hidden_size, num_outputs
    return from_equinox(lambda key: eqx.nn.GRUCell(num_inputs, hidden_size, key=key), *sizes)


LSTMS = (nnx_lstm, nnx_optimized_lstm, linen_lstm, equinox_lstm)
GRUS = (nnx_gru, linen_gru, equinox_gru)
FEW = (nnx_gru, linen_lstm, equinox_gru)  # one of each library
over_adapters = pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, marks=[pytest.mark.slow] * (build not in FEW))
        for build in (*LSTMS, *GRUS)
    ],
)

SIZES = NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS = 7, 6, 5
NUM_STEPS = 9


def ours_of(build: Any) -> Any:
    return (lstm if build in LSTMS else gru)(*SIZES)


def side_by_side(cell: Any, names: Any, leaf: str) -> jax.Array:
    """The gates' arrays, where each has one by its name."""
    return jnp.concatenate([cell[name][leaf] for name in names], axis=-1)


def in_our_order(array: jax.Array) -> jax.Array:
    """The gates input, forget, candidate, output in our order, the candidate last."""
    i, f, g, o = jnp.split(array, 4, axis=-1)
    return jnp.concatenate([i, f, o, g], axis=-1)


def weights_in_ours(build: Any, cell: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Their weights, or gradients, as our U, W and b, without a bias that ours has not."""
    if build in (equinox_lstm, equinox_gru):
        U, W, b = cell.weight_ih.T, cell.weight_hh.T, cell.bias
    elif build in (nnx_optimized_lstm, nnx_gru):
        U, W = cell["dense_i"]["kernel"], cell["dense_h"]["kernel"]
        b = cell["dense_h" if build is nnx_optimized_lstm else "dense_i"]["bias"]
    elif build is linen_gru:
        U = side_by_side(cell, ("ir", "iz", "in"), "kernel")
        W = side_by_side(cell, ("hr", "hz", "hn"), "kernel")
        b = side_by_side(cell, ("ir", "iz", "in"), "bias")
    else:
        if_ = "if_" if build is nnx_lstm else "if"
        U = side_by_side(cell, ("ii", if_, "ig", "io"), "kernel")
        W = side_by_side(cell, ("hi", "hf", "hg", "ho"), "kernel")
        b = side_by_side(cell, ("hi", "hf", "hg", "ho"), "bias")
    return tuple(map(in_our_order, (U, W, b))) if build in LSTMS else (U, W, b)


def in_ours(build: Any, params: Any) -> GatedParams:
    U, W, b = weights_in_ours(build, params.cell)
    return GatedParams(U, W, b, (), params.output_weights, params.output_bias)


def without_their_own_bias(build: Any, params: Any) -> Any:
    """Their GRU has a bias on h W_n, inside the reset gate, that ours has not."""
    cell = params.cell
    if build is equinox_gru:
        cell = eqx.tree_at(lambda one: one.bias_n, cell, jnp.zeros(HIDDEN_SIZE))
    if build is linen_gru:
        cell = cell | {"hn": cell["hn"] | {"bias": jnp.zeros(HIDDEN_SIZE)}}
    return params._replace(cell=cell)


def random_vectors() -> jax.Array:
    return random_like(jnp.zeros((NUM_STEPS, NUM_INPUTS)), seed=1)


def outputs_and_gradients(net: Any, params: Any, xs: jax.Array) -> tuple[jax.Array, Any]:
    def random_sum(params: Any) -> tuple[jax.Array, jax.Array]:
        ys = unroll(net, params, xs)[1]
        return jnp.vdot(random_like(ys, seed=5), ys), ys

    gradients, ys = jax.grad(random_sum, has_aux=True)(params)
    return ys, gradients


@pytest.mark.usefixtures("x64")
@over_adapters
def test_outputs_and_gradients_are_ours_from_the_same_weights(build):
    net, xs = build(*SIZES), random_vectors()
    params = without_their_own_bias(build, random_params(net))
    run = jax.jit(outputs_and_gradients, static_argnums=0)
    ys, gradients = run(net, params, xs)
    expected = run(ours_of(build), in_ours(build, params), xs)
    assert_trees_close((ys, in_ours(build, gradients)), expected, **FLOAT64)


@pytest.mark.parametrize("build", [nnx_gru, linen_gru, equinox_gru])
def test_first_weights_are_their_own_and_the_initializer_draws_the_outputs(build):
    net, keys = build(*SIZES), jax.random.split(jax.random.key(3))

    @jax.jit
    def draw(scale: jax.Array) -> Any:
        drawn = xavier()._replace(weights=lambda *sizes: scale * xavier().weights(*sizes))
        return jax.vmap(partial(net.init, initializer=drawn))(keys)

    params, scaled = draw(1.0), draw(2.0)
    assert_trees_close(scaled.cell, params.cell, 0, 0)
    np.testing.assert_array_equal(scaled.output_weights, 2 * params.output_weights)
    (U, W, _), (U_fresh, W_fresh, _) = (
        weights_in_ours(build, of_trial(params, trial).cell) for trial in (0, 1)
    )
    assert abs(U - U_fresh).min() > 0
    assert abs(W - W_fresh).min() > 0
    if build is equinox_gru:  # uniform in 1 / sqrt(H)
        assert 0.9 < abs(jnp.concatenate([U, W])).max() * HIDDEN_SIZE**0.5 <= 1
    else:  # orthogonal, Linen's gate by gate
        W = W[:, :HIDDEN_SIZE] if build is linen_gru else W
        np.testing.assert_allclose(W @ W.T, np.eye(HIDDEN_SIZE), atol=1e-5)


@over_adapters
def test_weights_and_states_are_of_jaxs_default_type_and_symbols_act_as_vectors(build):
    symbols = jnp.asarray([3, 0, 6, 1], jnp.int32)
    for wide in (False, True):
        with jax.enable_x64(wide):
            net = taking_symbols(stack(build(*SIZES), build(NUM_OUTPUTS, 3, 4)), NUM_INPUTS)
            shapes = jax.eval_shape(
                lambda key, net=net: (
                    params := net.init(key, xavier()),
                    unroll(net, params, symbols),
                ),
                jax.random.key(0),
            )
            dtypes = {leaf.dtype for leaf in jax.tree.leaves(shapes)}
            assert dtypes == {np.dtype("float64" if wide else "float32")}
            assert shapes[1][1].shape == (4, 4)
    ys = unroll(net, random_params(net), symbols)[1]
    expected = unroll(net, random_params(net), jax.nn.one_hot(symbols, NUM_INPUTS))[1]
    np.testing.assert_array_equal(ys, expected)


SHORT = Experiment(length=4, trials=2, hidden_size=10, max_steps=6000, initializer="xavier")


@pytest.mark.slow
@pytest.mark.parametrize("build", [*LSTMS, *GRUS])
def test_each_solves_a_short_length(build, monkeypatch):
    monkeypatch.setitem(CELLS, "theirs", build)
    outcomes = run_trials(replace(SHORT, cell="theirs"))
    assert [outcome.status for outcome in outcomes] == ["solved", "solved"]
    assert all(1000 <= outcome.solved_at + 1 < 6000 for outcome in outcomes)


class Counting(nnx.GRUCell):
    """A cell with a number that is no parameter."""

    def __init__(self, num_inputs, hidden_size, rngs):
        super().__init__(num_inputs, hidden_size, rngs=rngs)
        self.calls = nnx.BatchStat(jnp.zeros(()))


class Summing(nn.GRUCell):
    """A cell with a collection of its own."""

    @nn.compact
    def __call__(self, carry, inputs):
        self.variable("sums", "of_inputs", lambda: jnp.zeros(()))
        return nn.GRUCell(self.features)(carry, inputs)


class Numbered(eqx.nn.GRUCell):
    """A cell with an array of whole numbers."""

    number: Any

    def __init__(self, *sizes, key):
        super().__init__(*sizes, key=key)
        self.number = jnp.zeros(3, jnp.int32)


REFUSED = {
    "calls is a BatchStat": lambda: from_nnx(lambda rngs: Counting(7, 6, rngs), *SIZES),
    "not params, sums": lambda: from_linen(Summing(6), *SIZES),
    "not of int32": lambda: from_equinox(lambda key: Numbered(7, 6, key=key), *SIZES),
    "from_nnx's cell gives hidden units of shape (4,), not (6,)": lambda: from_nnx(
        lambda rngs: nnx.GRUCell(7, 4, rngs=rngs), *SIZES
    ),
    "from_equinox's cell gives hidden units of shape (4,)": lambda: from_equinox(
        lambda key: eqx.nn.LSTMCell(7, 4, key=key),
        *SIZES,
        initial_state=lambda _: (jnp.zeros(4),) * 2,
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_pure_cell_of_these_sizes_is_refused(words):
    with pytest.raises(InputError, match=re.escape(words)):
        REFUSED[words]()


def test_another_module_says_what_its_state_is():
    class Counter(eqx.Module):
        decay: jax.Array

        def __call__(self, x, state):
            return {"sum": self.decay * state["sum"] + x}

    net = from_equinox(
        lambda key: Counter(jnp.full(3, 0.5)),
        3,
        3,
        2,
        initial_state=lambda hidden_size: {"sum": jnp.ones(hidden_size)},
        hidden=lambda state: state["sum"],
    )
    params = net.init(jax.random.key(0), xavier())
    state, ys = unroll(net, params, jnp.eye(3))
    np.testing.assert_allclose(state["sum"], [0.375, 0.625, 1.125])
    np.testing.assert_allclose(ys[0], jnp.array([1.5, 0.5, 0.5]) @ params.output_weights, rtol=1e-6)


def test_nothing_of_theirs_is_imported_before_it_is_used():
    code = "import sys; from jaxrnn import from_nnx; print({'flax', 'equinox'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
