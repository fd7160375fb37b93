"""Cells of Flax and Equinox: the same numbers as ours from the same weights, trained like ours."""

import re
import subprocess
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    FLOAT64,
    assert_trees_close,
    of_trial,
    random_like,
    random_params,
    random_vectors,
)

from jaxrnn import CELLS, InputError, stack, unroll, xavier
from jaxrnn.nets.adapters import from_equinox, from_linen, from_nnx
from jaxrnn.nets.base import taking_symbols
from jaxrnn.nets.gated import GatedParams

# Their names and shapes are theirs to change; the tests want them as they are, or not at all.
eqx = pytest.importorskip("equinox")
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")


def adapted(library: str, name: str) -> Any:
    def build(num_inputs, hidden_size, num_outputs, gates=None):
        sizes = num_inputs, hidden_size, num_outputs
        if library == "linen":
            return from_linen(getattr(nn, name)(hidden_size), *sizes, gates=gates)
        if library == "nnx":
            make = partial(getattr(nnx, name), *sizes[:2])
            return from_nnx(lambda rngs: make(rngs=rngs), *sizes, gates=gates)
        return from_equinox(
            lambda key: getattr(eqx.nn, name)(*sizes[:2], key=key), *sizes, gates=gates
        )

    return build


BUILDERS = {
    "nnx_lstm": adapted("nnx", "LSTMCell"),
    "nnx_optimized_lstm": adapted("nnx", "OptimizedLSTMCell"),
    "nnx_gru": adapted("nnx", "GRUCell"),
    "linen_lstm": adapted("linen", "LSTMCell"),
    "linen_gru": adapted("linen", "GRUCell"),
    "equinox_lstm": adapted("equinox", "LSTMCell"),
    "equinox_gru": adapted("equinox", "GRUCell"),
}
FEW = ("nnx_gru", "linen_lstm", "equinox_gru")  # one of each library
over_adapters = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FEW)) for name in BUILDERS]
)

SIZES = NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS = 7, 6, 5
NUM_STEPS = 9


def weights_in_ours(name: str, cell: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Their weights, or gradients, as our U, W and b, without a bias that ours has not."""

    def side_by_side(gates: Any, leaf: str) -> np.ndarray:
        return np.concatenate([cell[gate][leaf] for gate in gates], axis=-1)

    if name.startswith("equinox"):
        U, W, b = np.asarray(cell.weight_ih).T, np.asarray(cell.weight_hh).T, cell.bias
    elif name in ("nnx_optimized_lstm", "nnx_gru"):
        U, W = cell["dense_i"]["kernel"], cell["dense_h"]["kernel"]
        b = cell["dense_i" if name == "nnx_gru" else "dense_h"]["bias"]
    elif name == "linen_gru":
        of_inputs = "ir", "iz", "in"
        U, b = side_by_side(of_inputs, "kernel"), side_by_side(of_inputs, "bias")
        W = side_by_side(("hr", "hz", "hn"), "kernel")
    else:
        U = side_by_side(("ii", "if_" if name == "nnx_lstm" else "if", "ig", "io"), "kernel")
        of_hidden = "hi", "hf", "hg", "ho"
        W, b = side_by_side(of_hidden, "kernel"), side_by_side(of_hidden, "bias")
    if not name.endswith("lstm"):
        return U, W, b
    # Theirs are input, forget, candidate and output; in ours the candidate is the last.
    split = [np.split(np.asarray(array), 4, axis=-1) for array in (U, W, b)]
    return tuple(np.concatenate([i, f, o, g], axis=-1) for i, f, g, o in split)


def in_ours(name: str, params: Any) -> GatedParams:
    U, W, b = weights_in_ours(name, params.cell)
    return GatedParams(U, W, b, (), params.output_weights, params.output_bias)


def without_their_own_bias(name: str, params: Any) -> Any:
    """Their GRU has a bias on h W_n, inside the reset gate, that ours has not."""
    cell = params.cell
    if name == "equinox_gru":
        cell = eqx.tree_at(lambda one: one.bias_n, cell, np.zeros(HIDDEN_SIZE))
    if name == "linen_gru":
        cell = cell | {"hn": cell["hn"] | {"bias": np.zeros(HIDDEN_SIZE)}}
    return params._replace(cell=cell)


@pytest.mark.usefixtures("x64")
@over_adapters
def test_outputs_and_gradients_are_ours_from_the_same_weights(name):
    def outputs_and_gradients(net: Any, params: Any) -> tuple[jax.Array, Any]:
        def random_sum(params: Any) -> tuple[jax.Array, jax.Array]:
            ys = unroll(net, params, xs)[1]
            return jnp.vdot(random_like(ys, seed=5), ys), ys

        gradients, ys = jax.grad(random_sum, has_aux=True)(params)
        return ys, gradients

    net, xs = BUILDERS[name](*SIZES), random_vectors((NUM_STEPS, NUM_INPUTS))
    params = without_their_own_bias(name, random_params(net))
    run = jax.jit(outputs_and_gradients, static_argnums=0)
    ys, gradients = run(net, params)
    ours = CELLS["lstm" if name.endswith("lstm") else "gru"](*SIZES)
    assert_trees_close((ys, in_ours(name, gradients)), run(ours, in_ours(name, params)), **FLOAT64)


@pytest.mark.parametrize("name", ["nnx_gru", "linen_gru", "equinox_gru"])
def test_first_weights_are_their_own_and_the_initializer_draws_the_outputs(name):
    net, keys = BUILDERS[name](*SIZES), jax.random.split(jax.random.key(3))

    @jax.jit
    def draw(scale: jax.Array) -> Any:
        drawn = xavier()._replace(weights=lambda *sizes: scale * xavier().weights(*sizes))
        return jax.vmap(partial(net.init, initializer=drawn))(keys)

    params, scaled = jax.device_get((draw(1.0), draw(2.0)))
    assert_trees_close(scaled.cell, params.cell, 0, 0)
    np.testing.assert_array_equal(scaled.output_weights, 2 * params.output_weights)
    (U, W, _), (U_fresh, W_fresh, _) = (
        weights_in_ours(name, of_trial(params, trial).cell) for trial in (0, 1)
    )
    assert abs(U - U_fresh).min() > 0
    assert abs(W - W_fresh).min() > 0
    if name == "equinox_gru":  # uniform in 1 / sqrt(H)
        assert 0.9 < abs(np.concatenate([U, W])).max() * HIDDEN_SIZE**0.5 <= 1
    else:  # orthogonal, Linen's gate by gate
        W = W[:, :HIDDEN_SIZE] if name == "linen_gru" else W
        np.testing.assert_allclose(W @ W.T, np.eye(HIDDEN_SIZE), atol=1e-5)


OF_HIDDEN = {"input": "hi.bias", "forget": "hf.bias", "output": "ho.bias"}
PARTS = [slice(k * HIDDEN_SIZE, (k + 1) * HIDDEN_SIZE) for k in range(4)]
GATES: dict[str, Any] = {
    "nnx_lstm": OF_HIDDEN,
    "nnx_gru": {"update": ("dense_i.bias", PARTS[1])},
    "linen_lstm": OF_HIDDEN,
    "linen_gru": {"update": "iz.bias"},
    "equinox_lstm": {"input": ("bias", PARTS[0]), "forget": ("bias", PARTS[1])},
    "equinox_gru": {"update": ("bias", PARTS[1])},
}


@pytest.mark.parametrize("name", GATES)
def test_named_gates_have_biases_of_the_initializer_and_keep_the_state(name):
    """With a forget or an update gate that is open, and an input gate that is shut."""
    sizes, gates = (NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS), GATES[name]
    own, net = BUILDERS[name](*sizes), BUILDERS[name](*sizes, gates)
    assert net.gates == (*gates,)
    wanted = {"input": -30.0, "forget": 30.0, "update": 30.0, "output": 1.0}

    def biases(key, names, hidden_size):
        return jnp.repeat(jnp.array([wanted[one] for one in names]), hidden_size)

    drawn = xavier()._replace(biases=biases)
    before, params = (one.init(jax.random.key(0), drawn) for one in (own, net))
    changed = jax.tree.map(lambda old, new: old != new, before, params)
    assert sum(int(leaf.sum()) for leaf in jax.tree.leaves(changed)) == len(gates) * HIDDEN_SIZE
    first = jax.tree.map(lambda leaf: leaf + 0.5, net.initial_state(params))
    last, _ = unroll(net, params, random_vectors((NUM_STEPS, NUM_INPUTS)), first)
    kept = jax.tree.leaves(last)[1 if name == "equinox_lstm" else 0]  # (h, c) there, else (c, h)
    np.testing.assert_allclose(kept, 0.5, rtol=1e-5)


@over_adapters
def test_weights_and_states_are_of_jaxs_default_type_and_symbols_act_as_vectors(name):
    symbols = np.array([3, 0, 6, 1], np.int32)
    for wide in (False, True):
        with jax.enable_x64(wide):
            build = BUILDERS[name]
            net = taking_symbols(stack(build(*SIZES), build(NUM_OUTPUTS, 3, 4)), NUM_INPUTS)

            def drawn(key, net=net):
                params = net.init(key, xavier())
                return params, unroll(net, params, symbols)

            shapes = jax.eval_shape(drawn, jax.random.key(0))
            dtypes = {leaf.dtype for leaf in jax.tree.leaves(shapes)}
            assert dtypes == {np.dtype("float64" if wide else "float32")}
            assert shapes[1][1].shape == (4, 4)
    run = jax.jit(partial(unroll, net))
    ys = run(random_params(net), symbols)[1]
    vectors = np.eye(NUM_INPUTS, dtype=np.float32)[symbols]
    np.testing.assert_array_equal(ys, run(random_params(net), vectors)[1])


class Counting(nnx.GRUCell):
    """A cell with a number that is no parameter."""

    def __init__(self, *sizes, rngs):
        super().__init__(*sizes, rngs=rngs)
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
    "calls is a BatchStat": lambda: from_nnx(lambda rngs: Counting(7, 6, rngs=rngs), *SIZES),
    "not params, sums": lambda: from_linen(Summing(6), *SIZES),
    "not of int32": lambda: from_equinox(lambda key: Numbered(7, 6, key=key), *SIZES),
    "from_nnx's cell gives hidden units of shape (4,), not (6,)": lambda: from_nnx(
        lambda rngs: nnx.GRUCell(7, 4, rngs=rngs), *SIZES
    ),
    "from_equinox's cell fails with 7 inputs and hidden_size 6": lambda: from_equinox(
        lambda key: eqx.nn.GRUCell(3, 6, key=key), *SIZES
    ),
    "unknown gate 'reset': choose from forget, input, output, update": lambda: BUILDERS["nnx_gru"](
        *SIZES, {"reset": "dense_i.bias"}
    ),
    "unknown array of from_nnx's cell 'bias': choose from dense_h.kernel": lambda: BUILDERS[
        "nnx_gru"
    ](*SIZES, {"update": "bias"}),
    "gate update is dense_i.bias[slice(None, None, None)] of shape (18,)": lambda: BUILDERS[
        "nnx_gru"
    ](*SIZES, {"update": "dense_i.bias"}),
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
        *(3, 3, 2),
        initial_state=lambda hidden_size: {"sum": jnp.ones(hidden_size)},
        hidden=lambda state: state["sum"],
    )
    params = random_params(net)._replace(cell=Counter(np.full(3, 0.5, np.float32)))
    state, ys = unroll(net, params, np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(state["sum"], [0.375, 0.625, 1.125])
    expected = np.array([1.5, 0.5, 0.5]) @ params.output_weights + params.output_bias
    np.testing.assert_allclose(ys[0], expected, rtol=1e-6)


def test_nothing_of_theirs_is_imported_before_it_is_used():
    code = "import sys; from jaxrnn import from_nnx; print({'flax', 'equinox'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
