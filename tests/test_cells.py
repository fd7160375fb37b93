from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELLS
from jaxrnn.nets.base import Cell, stack, unroll
from jaxrnn.nets.initializers import xavier
from jaxrnn.tasks import Sequence
from jaxrnn.training.objectives import cross_entropy
from jaxrnn.training.trial import Settings, TrainState, build, settings_of

# These programs run once, so that compiling is all their time; test_training.py has the engine's.
jit = partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


def random_like(tree: Any, seed: int) -> Any:
    """Normal numbers in the shapes of ``tree``: no bias is zero, so none goes unnoticed."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(0.5 * rng.standard_normal(a.shape), a.dtype), tree)


def random_params(cell: Cell, num_inputs: int, hidden_size: int, num_outputs: int, seed=0) -> Any:
    def init(key: jax.Array) -> Any:
        return cell.init(key, num_inputs, hidden_size, num_outputs, xavier)

    return random_like(jax.eval_shape(init, jax.random.key(0)), seed)


def assert_trees_close(actual: Any, expected: Any, rtol: float, atol: float) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    leaves = jax.tree_util.tree_leaves_with_path(actual)
    for (path, a), e in zip(leaves, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol, atol, err_msg=jax.tree_util.keystr(path))


# Every cell of the table, and the notebook's stacked, too.
over_nets = pytest.mark.parametrize(
    ("cell", "layers"), [(cell, 1) for cell in CELLS] + [(cell, 3) for cell in notebook.BUILDERS]
)


@cache
def net_of(cell: str, layers: int, fast: bool = True) -> Cell:
    one = CELLS[cell] if fast else CELLS[cell]._replace(unroll=None)
    return stack(one, layers)


def settings_of_one(learning_rate: float, clip: float) -> Settings:
    """The settings of a single trial, not of a batch."""
    experiment = Experiment(learning_rate=learning_rate, clip=clip, trials=1)
    return jax.tree.map(itemgetter(0), settings_of(experiment))


# Against the notebook: its two nets, single with 20 units and stacked with 10.

LEARNING_RATE = 0.7


class Step(NamedTuple):
    """One training step."""

    logits: np.ndarray  # [T-1, O]
    loss: float
    error: float
    unclipped: notebook.Net  # the weights after it
    clipped: notebook.Net


@cache
def one_step(cell: str, layers: int, length: int, wide: bool) -> tuple[Step, Step]:
    """jaxrnn's step, in float64 if ``wide``, and the transcription's from the same weights.

    The clip bound is the median size of the gradient's elements, so it bites on half of them.
    """
    hidden_size = 20 if layers == 1 else 10
    sequence = notebook.gen_sequence(length - 1, is_a=length % 2 == 0)
    symbols = sequence.argmax(axis=1).astype(np.int32)
    with jax.enable_x64(wide):
        net = stack(CELLS[cell], layers)
        params = random_params(net, length, hidden_size, length, seed=length)
        reference = notebook.from_jaxrnn(params)
        grads = notebook.gradients(cell, reference, sequence)
        sizes = np.concatenate([abs(g).ravel() for layer in grads for g in layer.values()])
        clip = float(np.median(sizes[sizes > 0]))
        logits, _ = notebook.multi_layer_rnn(cell, reference, sequence)
        theirs = Step(
            logits[:-1],
            notebook.rnn_loss(sequence, logits),
            notebook.rnn_abs_error(sequence, logits),
            notebook.sgd_update(reference, grads, LEARNING_RATE, None),
            notebook.sgd_update(reference, grads, LEARNING_RATE, clip),
        )

        trial = build(
            Experiment(cell=cell, layers=layers, hidden_size=hidden_size, length=length, trials=1)
        )
        drawn = Sequence(jnp.asarray(symbols[:-1]), jnp.asarray(symbols[1:]))

        @jit
        def run(params: Any, settings: Settings) -> tuple:
            _, logits = unroll(net, params, drawn.inputs)
            loss, _ = cross_entropy(logits, drawn.targets)
            opt_state = trial.init(jax.random.key(0), settings).opt_state
            state, error = trial.update(TrainState(params, opt_state), settings, drawn, np.int32(0))
            return logits, loss, error, state.params

        *_, unclipped = run(params, settings_of_one(LEARNING_RATE, 1e30))
        *measured, clipped = run(params, settings_of_one(LEARNING_RATE, clip))
        ours = Step(*measured, notebook.from_jaxrnn(unclipped), notebook.from_jaxrnn(clipped))
    return ours, theirs


# In float32 sums of up to 20 products of order 1 are passed on through up to 9 steps and 3 layers.
FLOAT64 = {"rtol": 1e-12, "atol": 1e-13}
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}

over_notebook_nets = pytest.mark.parametrize(
    ("cell", "layers", "length", "wide", "tolerance"),
    [
        pytest.param(cell, layers, length, wide, tolerance, id=f"{cell}-{layers}-{length}-{name}")
        for cell in notebook.BUILDERS
        for layers, name, wide, tolerance, lengths in (
            (1, "float64", True, FLOAT64, (3, 5, 10, 20)),
            (2, "float64", True, FLOAT64, (5,)),
            (3, "float64", True, FLOAT64, (3, 5, 10, 20)),
            (1, "float32", False, FLOAT32, (10,)),
            (3, "float32", False, FLOAT32, (10,)),
        )
        for length in lengths
    ],
)


@over_notebook_nets
def test_logits_loss_and_error_are_the_notebooks(cell, layers, length, wide, tolerance):
    ours, theirs = one_step(cell, layers, length, wide)
    np.testing.assert_allclose(ours.logits, theirs.logits, **tolerance)
    np.testing.assert_allclose(ours.loss, theirs.loss, **tolerance)
    np.testing.assert_allclose(ours.error, theirs.error, **tolerance)


@over_notebook_nets
@pytest.mark.parametrize("weights", ["unclipped", "clipped"])
def test_one_update_is_the_notebooks(cell, layers, length, wide, tolerance, weights):
    ours, theirs = one_step(cell, layers, length, wide)
    assert_trees_close(getattr(ours, weights), getattr(theirs, weights), **tolerance)


# Gradients against finite differences, on nets small enough to move every weight.


def central_differences(losses, weights: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Gradient at ``weights`` [K] of a function that takes many weight vectors [2K, K] at once."""
    moves = epsilon * np.eye(len(weights))
    above, below = np.split(np.asarray(losses(weights + np.concatenate([moves, -moves]))), 2)
    return (above - below) / (2 * epsilon)


@pytest.mark.usefixtures("x64")
@over_nets
def test_gradient_is_the_slope_of_the_loss(cell, layers):
    net = net_of(cell, layers)
    inputs, targets = jnp.array([3, 0, 1, 2], jnp.int32), jnp.array([0, 1, 2, 3], jnp.int32)
    weights, unravel = ravel_pytree(random_params(net, 4, 3, 4))

    def loss(weights: jax.Array) -> jax.Array:
        return cross_entropy(unroll(net, unravel(weights), inputs)[1], targets)[0]

    slope = central_differences(jit(jax.vmap(loss)), np.asarray(weights))
    np.testing.assert_allclose(jit(jax.grad(loss))(weights), slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", notebook.BUILDERS)
def test_transcriptions_gradient_is_the_slope_of_its_loss(cell, layers):
    sequence = notebook.gen_sequence(3, is_a=False)
    with jax.enable_x64(True):
        net = notebook.from_jaxrnn(random_params(stack(CELLS[cell], layers), 4, 3, 4))
    grads = notebook.gradients(cell, net, sequence)
    for layer, grad in zip(net, grads, strict=True):
        for name, value in layer.items():

            def losses(moved: np.ndarray, layer=layer, name=name, value=value) -> np.ndarray:
                result = []
                for row in moved:
                    layer[name] = row.reshape(value.shape)
                    result.append(notebook.loss_of(cell, net, sequence))
                layer[name] = value
                return np.array(result)

            slope = central_differences(losses, value.ravel())
            np.testing.assert_allclose(grad[name].ravel(), slope, rtol=1e-6, atol=1e-9)


# What holds for any cell. I, H and O differ, so that none is taken for another.

NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS, NUM_STEPS = 7, 6, 5, 9


def params_of(net: Cell, seed: int = 0) -> Any:
    return random_params(net, NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS, seed)


def random_vectors(seed: int = 1) -> jax.Array:
    return random_like(jnp.zeros((NUM_STEPS, NUM_INPUTS)), seed)


def random_symbols(seed: int = 1) -> jax.Array:
    symbols = np.random.default_rng(seed).integers(NUM_INPUTS, size=NUM_STEPS)
    return jnp.asarray(symbols, jnp.int32)


run = jit(unroll, static_argnums=0)


@partial(jit, static_argnums=0)
def results_and_gradients(net: Cell, params: Any, state: Any, xs: jax.Array) -> Any:
    """(Last state, outputs), and the gradients of a random sum of both by params and state."""

    def random_sum(params: Any, state: Any) -> tuple[jax.Array, Any]:
        results = unroll(net, params, xs, state)
        flat, _ = ravel_pytree(results)
        return jnp.vdot(random_like(flat, seed=5), flat), results

    grads, results = jax.grad(random_sum, argnums=(0, 1), has_aux=True)(params, state)
    return results, grads


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("inputs", [random_vectors, random_symbols])
@over_nets
def test_fast_path_gives_results_and_gradients_of_plain_scan(cell, layers, inputs):
    fast, plain = net_of(cell, layers), net_of(cell, layers, fast=False)
    if fast.unroll is None:
        pytest.skip("the cell has no fast path")
    params, xs = params_of(fast), inputs()
    state = random_like(fast.initial_state(params), seed=3)
    assert_trees_close(
        results_and_gradients(fast, params, state, xs),
        results_and_gradients(plain, params, state, xs),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@over_nets
def test_symbols_act_as_their_one_hot_vectors(cell, layers):
    net = net_of(cell, layers)
    if net.unroll is None:
        pytest.skip("the cell takes vectors only")
    params, symbols = params_of(net), random_symbols()
    state = net.initial_state(params)
    assert_trees_close(
        results_and_gradients(net, params, state, symbols),
        results_and_gradients(net, params, state, jax.nn.one_hot(symbols, NUM_INPUTS)),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@over_nets
def test_step_by_step_gives_what_unroll_gives(cell, layers):
    net = net_of(cell, layers)
    params, xs = params_of(net), random_vectors()
    step = jit(net.step)
    state, outputs = net.initial_state(params), []
    for x in xs:
        state, y = step(params, state, x)
        outputs.append(y)
    assert_trees_close(run(net, params, xs), (state, jnp.stack(outputs)), **FLOAT64)


@pytest.mark.usefixtures("x64")
@over_nets
def test_unroll_starts_from_the_initial_state_of_the_cell(cell, layers):
    one = CELLS[cell]
    shifted = one._replace(
        initial_state=lambda params: jax.tree.map(lambda a: a + 0.3, one.initial_state(params))
    )
    net = stack(shifted, layers)
    params, xs = params_of(net), random_vectors()
    state = jax.tree.map(lambda a: a + 0.3, net_of(cell, layers).initial_state(params))
    _, outputs = run(net, params, xs)
    _, expected = run(net_of(cell, layers), params, xs, state)
    np.testing.assert_array_equal(outputs, expected)
    _, from_usual_state = run(net_of(cell, layers), params, xs)
    assert abs(outputs - from_usual_state)[0].max() > 1e-3


@pytest.mark.usefixtures("x64")
@over_nets
def test_sequence_cut_in_two_goes_on_from_the_state(cell, layers):
    net = net_of(cell, layers)
    params, xs = params_of(net), random_vectors()
    middle, first = run(net, params, xs[:4])
    last, second = run(net, params, xs[4:], middle)
    assert_trees_close((last, jnp.concatenate([first, second])), run(net, params, xs), **FLOAT64)


@over_nets
def test_rows_of_a_batch_do_not_touch_each_other(cell, layers):
    net = net_of(cell, layers)
    params = [params_of(net, seed) for seed in range(3)]
    xs = [random_vectors(seed) for seed in range(3)]
    run_batch = jit(jax.vmap(partial(unroll, net)))

    def stacked(trees: list) -> Any:
        return jax.tree.map(lambda *rows: jnp.stack(rows), *trees)

    batch = run_batch(stacked(params), stacked(xs))
    for row in range(3):
        alone = run(net, params[row], xs[row])
        # float32, and a batch multiplies in another order.
        assert_trees_close(jax.tree.map(itemgetter(row), batch), alone, **FLOAT32)
    poisoned = run_batch(
        stacked([*params[:2], jax.tree.map(lambda a: a * jnp.nan, params[2])]), stacked(xs)
    )
    assert np.isnan(poisoned[1][2]).all()
    for row in range(2):
        assert_trees_close(*(jax.tree.map(itemgetter(row), b) for b in (poisoned, batch)), 0, 0)


@pytest.mark.usefixtures("x64")
@over_nets
def test_cell_that_is_only_a_step_trains_like_the_fast_one(cell, layers, monkeypatch):
    monkeypatch.setitem(CELLS, "only_a_step", CELLS[cell]._replace(unroll=None))
    settings = settings_of_one(1.0, 0.02)
    updated = []
    for name in (cell, "only_a_step"):
        experiment = Experiment(cell=name, layers=layers, length=6, hidden_size=HIDDEN_SIZE)
        trial = build(experiment)
        params = random_params(net_of(cell, layers), 6, HIDDEN_SIZE, 6)
        state = TrainState(params, trial.init(jax.random.key(0), settings).opt_state)
        drawn = Sequence(
            jnp.array([4, 0, 1, 2, 3], jnp.int32), jnp.array([0, 1, 2, 3, 4], jnp.int32)
        )
        updated.append(jit(trial.update)(state, settings, drawn, np.int32(0)))
    assert_trees_close(*updated, **FLOAT64)
