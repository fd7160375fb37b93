"""Every cell: against the notebook, against transcriptions, and what holds for any."""

import re
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import cells_numpy
import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest
from helpers import (
    FLOAT32,
    FLOAT64,
    GATED,
    assert_trees_close,
    first_params,
    jit,
    net_of,
    plain,
    random_like,
    random_params,
    settings_of_one,
)
from jax import lax
from jax.flatten_util import ravel_pytree

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELLS, Cell, stack, unroll
from jaxrnn.nets.gated import gated
from jaxrnn.nets.initializers import chrono, notebook_xavier
from jaxrnn.nets.lstm import LSTMState
from jaxrnn.nets.xlstm import ExponentialState
from jaxrnn.problems import Sequence
from jaxrnn.training.objectives import cross_entropy
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import Settings, TrainState, build

# Every cell of the table, and the notebook's stacked, too.
over_nets = pytest.mark.parametrize(
    ("cell", "layers"),
    [(cell, 1) for cell in (*GATED, "mgu", "co_rnn")] + [(cell, 3) for cell in notebook.BUILDERS],
)


# Against the notebook: its two nets, single with 20 units and stacked with 10.

LEARNING_RATE = 0.7


class Step(NamedTuple):
    """One update."""

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
        net = net_of(cell, (length, hidden_size, length), layers)
        params = random_params(net, seed=length)
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

        def settings(clip: float) -> Settings:
            return settings_of_one(Experiment(learning_rate=LEARNING_RATE, clip=clip, trials=1))

        @jit
        def run(params: Any, settings: Settings) -> tuple:
            _, logits = unroll(net, params, drawn.inputs)
            losses, _ = cross_entropy(logits, drawn.targets)
            opt_state = trial.init(jax.random.key(0), settings).opt_state
            state, error = trial.update(TrainState(params, opt_state), settings, drawn, np.int32(0))
            return logits, jnp.mean(losses), error, state.params

        *_, unclipped = run(params, settings(1e30))
        *measured, clipped = run(params, settings(clip))
        ours = Step(*measured, notebook.from_jaxrnn(unclipped), notebook.from_jaxrnn(clipped))
    return ours, theirs


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
    net = net_of(cell, (4, 3, 4), layers)
    inputs, targets = jnp.array([3, 0, 1, 2], jnp.int32), jnp.array([0, 1, 2, 3], jnp.int32)
    weights, unravel = ravel_pytree(random_params(net))

    def loss(weights: jax.Array) -> jax.Array:
        return jnp.mean(cross_entropy(unroll(net, unravel(weights), inputs)[1], targets)[0])

    slope = central_differences(jit(jax.vmap(loss)), np.asarray(weights))
    np.testing.assert_allclose(jit(jax.grad(loss))(weights), slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", notebook.BUILDERS)
def test_transcriptions_gradient_is_the_slope_of_its_loss(cell, layers):
    sequence = notebook.gen_sequence(3, is_a=False)
    with jax.enable_x64(True):
        net = notebook.from_jaxrnn(random_params(net_of(cell, (4, 3, 4), layers)))
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

SIZES = NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS = 7, 6, 5
NUM_STEPS = 9


def random_vectors(seed: int = 1) -> jax.Array:
    return random_like(jnp.zeros((NUM_STEPS, NUM_INPUTS)), seed)


def random_symbols(seed: int = 1) -> jax.Array:
    symbols = np.random.default_rng(seed).integers(NUM_INPUTS, size=NUM_STEPS)
    return jnp.asarray(symbols, jnp.int32)


run = jit(unroll, static_argnums=0)


@partial(jit, static_argnums=(0, 4))
def results_and_gradients(
    net: Cell, params: Any, state: Any, xs: jax.Array, steps_at_once: int = 1
) -> Any:
    """(Last state, outputs), and the gradients of a random sum of both by params and state."""

    def random_sum(params: Any, state: Any) -> tuple[jax.Array, Any]:
        results = unroll(net, params, xs, state, steps_at_once=steps_at_once)
        flat, _ = ravel_pytree(results)
        return jnp.vdot(random_like(flat, seed=5), flat), results

    grads, results = jax.grad(random_sum, argnums=(0, 1), has_aux=True)(params, state)
    return results, grads


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("inputs", [random_vectors, random_symbols])
@over_nets
def test_fast_path_gives_results_and_gradients_of_plain_scan(cell, layers, inputs):
    fast, slow = net_of(cell, SIZES, layers), net_of(cell, SIZES, layers, plain)
    if fast.unroll is None:
        pytest.skip("the cell has no fast path")
    params, xs = random_params(fast), inputs()
    state = random_like(fast.initial_state(params), seed=3)
    assert_trees_close(
        results_and_gradients(fast, params, state, xs),
        results_and_gradients(slow, params, state, xs),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("inputs", [random_vectors, random_symbols])
def test_slopes_give_the_gradients_of_a_cell_whose_update_has_parameters_and_whose_h_is_no_leaf(
    inputs,
):
    def mixed(own, state, z, n):
        return {"c": own * z * state["c"] + (1 - z) * n, "last": n}

    cell = gated(
        SIZES,
        gates=("update", "candidate"),
        activate=lambda own, state, a: [jax.nn.sigmoid(half) for half in jnp.split(a, 2)],
        update=mixed,
        initial_state=lambda hidden_size: dict.fromkeys(("c", "last"), jnp.zeros(hidden_size)),
        hidden=lambda state: jnp.sin(state["c"]) + state["last"],
        own=jnp.ones,
        slope=lambda g: g * (1 - g),
    )
    params, xs = random_params(cell), inputs()
    state = random_like(cell.initial_state(params), seed=3)
    assert_trees_close(
        results_and_gradients(cell, params, state, xs),
        results_and_gradients(plain(cell), params, state, xs),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("cell", "layers"), [(cell, 1) for cell in GATED] + [("lstm", 2), ("gru", 2)]
)
@pytest.mark.parametrize("change", [lambda cell: cell, plain], ids=["fast", "plain"])
def test_several_steps_at_once_give_the_same(cell, layers, change):
    net = net_of(cell, SIZES, layers, change)
    params, xs = random_params(net), random_symbols() if change is not plain else random_vectors()
    state = random_like(net.initial_state(params), seed=3)
    loops = str(results_and_gradients.trace(net, params, state, xs, 4).jaxpr)
    assert set(re.findall(r"unroll=(\d+)", loops)) == {"4"}
    assert_trees_close(
        results_and_gradients(net, params, state, xs, 4),
        results_and_gradients(net, params, state, xs),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", GATED)
def test_what_is_done_apart_on_accelerators_gives_the_same(cell, monkeypatch):
    net = net_of(cell, SIZES)
    params, xs = random_params(net), random_symbols()
    state = random_like(net.initial_state(params), seed=3)
    expected = results_and_gradients(net, params, state, xs)
    on_cpu, chosen = lax.platform_dependent, []

    def of_others(*operands, cpu, default):
        chosen.append(default.__name__)
        return on_cpu(*operands, default=default)

    monkeypatch.setattr(lax, "platform_dependent", of_others)
    assert_trees_close(results_and_gradients(net, params, state, xs, 4), expected, **FLOAT64)
    assert {"apart", "by_product"} <= set(chosen)


@pytest.mark.parametrize("cell", GATED)
def test_on_accelerators_a_time_step_makes_one_row_and_a_loop_carries_one(cell, monkeypatch):
    carried, scan = [], lax.scan

    def recorded(step, carry, over, **options):
        carried.append(len(jax.tree.leaves(carry)))
        return scan(step, carry, over, **options)

    monkeypatch.setattr(lax, "scan", recorded)
    net = net_of(cell, SIZES)
    params = random_params(net)
    trace = results_and_gradients.trace(net, params, net.initial_state(params), random_symbols(), 4)
    assert carried == [1, 1]  # forward and backward
    loops = [one.params["jaxpr"] for one in trace.jaxpr.eqns if one.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        rows = [one.primitive.name for one in loop.eqns]
        assert rows.count("optimization_barrier") == 1


def test_a_fast_path_of_ones_own_need_not_take_several_steps_at_once():
    net = net_of("lstm", SIZES)
    own = net._replace(unroll=lambda params, state, xs: net.unroll(params, state, xs))
    params, xs = random_params(net), random_vectors()
    several = unroll(own, params, xs, steps_at_once=4)
    assert_trees_close(several, unroll(net, params, xs), rtol=0, atol=0)


@pytest.mark.usefixtures("x64")
@over_nets
def test_symbols_act_as_their_one_hot_vectors(cell, layers):
    net = net_of(cell, SIZES, layers)
    if net.unroll is None:
        pytest.skip("the cell takes vectors only")
    params, symbols = random_params(net), random_symbols()
    state = net.initial_state(params)
    assert_trees_close(
        results_and_gradients(net, params, state, symbols),
        results_and_gradients(net, params, state, jax.nn.one_hot(symbols, NUM_INPUTS)),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@over_nets
def test_step_by_step_gives_what_unroll_gives(cell, layers):
    net = net_of(cell, SIZES, layers)
    params, xs = random_params(net), random_vectors()
    step = jit(net.step)
    state, outputs = net.initial_state(params), []
    for x in xs:
        state, y = step(params, state, x)
        outputs.append(y)
    assert_trees_close(run(net, params, xs), (state, jnp.stack(outputs)), **FLOAT64)


@pytest.mark.usefixtures("x64")
@over_nets
def test_unroll_starts_from_the_initial_state_of_the_cell(cell, layers):
    def shifted(one: Cell) -> Cell:
        return one._replace(
            initial_state=lambda params: jax.tree.map(lambda a: a + 0.3, one.initial_state(params))
        )

    net = net_of(cell, SIZES, layers, shifted)
    params, xs = random_params(net), random_vectors()
    state = jax.tree.map(lambda a: a + 0.3, net_of(cell, SIZES, layers).initial_state(params))
    _, outputs = run(net, params, xs)
    _, expected = run(net_of(cell, SIZES, layers), params, xs, state)
    np.testing.assert_array_equal(outputs, expected)
    _, from_usual_state = run(net_of(cell, SIZES, layers), params, xs)
    assert abs(outputs - from_usual_state)[0].max() > 1e-3


@pytest.mark.usefixtures("x64")
@over_nets
def test_sequence_cut_in_two_goes_on_from_the_state(cell, layers):
    net = net_of(cell, SIZES, layers)
    params, xs = random_params(net), random_vectors()
    middle, first = run(net, params, xs[:4])
    last, second = run(net, params, xs[4:], middle)
    assert_trees_close((last, jnp.concatenate([first, second])), run(net, params, xs), **FLOAT64)


@over_nets
def test_rows_of_a_batch_do_not_touch_each_other(cell, layers):
    net = net_of(cell, SIZES, layers)
    params = [random_params(net, seed) for seed in range(3)]
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
    monkeypatch.setitem(
        CELLS, "only_a_step", lambda *sizes: CELLS[cell](*sizes)._replace(unroll=None)
    )
    settings = settings_of_one(Experiment(learning_rate=1.0, clip=0.02, trials=1))
    updated = []
    for name in (cell, "only_a_step"):
        experiment = Experiment(cell=name, layers=layers, length=6, hidden_size=HIDDEN_SIZE)
        trial = build(experiment)
        params = random_params(net_of(cell, (6, HIDDEN_SIZE, 6), layers))
        state = TrainState(params, trial.init(jax.random.key(0), settings).opt_state)
        drawn = Sequence(
            jnp.array([4, 0, 1, 2, 3], jnp.int32), jnp.array([0, 1, 2, 3, 4], jnp.int32)
        )
        updated.append(jit(trial.update)(state, settings, drawn, np.int32(0)))
    assert_trees_close(*updated, **FLOAT64)


OPTIONS = {"memory_blocks": {"block_size": 2}}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", [name for name in CELLS if name != "lru"])
def test_a_stack_that_passes_on_hidden_units_is_one_of_outputs_that_are_the_hidden_units(cell):
    options = OPTIONS.get(cell, {})
    width = HIDDEN_SIZE * options.get("block_size", 1)
    below, above = (CELLS[cell](i, HIDDEN_SIZE, o, **options) for i, o in ((7, 0), (width, 5)))
    shown = CELLS[cell](7, HIDDEN_SIZE, width, **options)
    params = random_params(stack(below, above, hidden=True))
    # The same weights, and outputs that copy the hidden units.
    copying = jax.tree.map(jnp.zeros_like, random_params(shown))
    of_outputs = ("output_weights", "output_bias", "direct_weights")
    own = {name: value for name, value in params[0]._asdict().items() if name not in of_outputs}
    copying = copying._replace(**own, output_weights=jnp.eye(width))
    for form in (lambda net: net, plain):
        hidden = stack(*map(form, (below, above)), hidden=True)
        outputs = stack(*map(form, (shown, above)))
        got = run(hidden, params, random_vectors())
        assert_trees_close(got, run(outputs, (copying, params[1]), random_vectors()), **FLOAT64)
    assert sum(leaf.size for leaf in jax.tree.leaves(params[0].output_weights)) == 0


def test_hidden_units_that_are_no_array_cannot_be_passed_on():
    with pytest.raises(InputError, match="this cell has none"):
        stack(CELLS["lru"](7, 6, 0), CELLS["lru"](6, 6, 5), hidden=True)
    with pytest.raises(InputError, match="stack-hidden needs a cell that has its hidden units as"):
        build(Experiment(cell="lru", layers=2, stack_hidden=True))
    with pytest.raises(InputError, match="stack-hidden needs layers of at least 2"):
        Experiment(stack_hidden=True)
    with pytest.raises(InputError, match="stack-hidden 1 must be True or False"):
        Experiment(layers=2, stack_hidden=1)


def test_two_layers_that_pass_on_hidden_units_have_one_output_layer_and_learn():
    experiment = Experiment(
        cell="simple_rnn", length=4, hidden_size=6, layers=3, stack_hidden=True, trials=3, window=20
    )
    first, second, last = first_params(experiment)
    assert first.output_weights.shape == second.output_weights.shape == (6, 0)
    assert (first.input_weights.shape, second.input_weights.shape) == ((4, 6), (6, 6))
    assert last.output_weights.shape == (6, 4)
    assert {outcome.status for outcome in run_trials(experiment)} == {"solved"}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", CELLS)
def test_forward_derivatives_are_those_of_reverse_mode_or_refused(cell):
    net = CELLS[cell](*SIZES, **OPTIONS.get(cell, {}))
    params, xs = random_params(net), random_vectors()
    direction = random_like(params, seed=2)

    def total(net: Cell, params: Any) -> jax.Array:
        return jnp.sum(unroll(net, params, xs)[1] ** 2)

    reverse = jit(lambda: jax.grad(partial(total, net))(params))()
    slope = np.vdot(ravel_pytree(reverse)[0], ravel_pytree(direction)[0])
    if cell in GATED:
        for forward in (jax.jvp, lambda f, *_: jax.jacfwd(f)(params)):
            with pytest.raises(InputError, match="_replace"):
                forward(partial(total, net), (params,), (direction,))
    forms = [plain(net)] if cell in GATED else [plain(net), net]
    for form in forms:
        _, forward = jit(lambda form=form: jax.jvp(partial(total, form), (params,), (direction,)))()
        np.testing.assert_allclose(forward, slope, rtol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", CELLS)
def test_the_hessian_is_that_of_the_plain_scan(cell):
    net = CELLS[cell](2, 2, 2, **OPTIONS.get(cell, {}))
    xs = random_vectors()[:3, :2]
    weights, unravel = ravel_pytree(random_params(net))

    def total(net: Cell, weights: jax.Array) -> jax.Array:
        return jnp.sum(unroll(net, unravel(weights), xs)[1] ** 2)

    fast, expected = (jit(jax.hessian(partial(total, n)))(weights) for n in (net, plain(net)))
    np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    direction = random_like(weights, seed=2)
    _, along = jit(lambda: jax.jvp(jax.grad(partial(total, net)), (weights,), (direction,)))()
    np.testing.assert_allclose(along, expected @ direction, rtol=1e-9, atol=1e-11)


def test_another_type_error_in_a_cell_is_its_own():
    def wrong(*_: Any) -> Any:
        raise TypeError("no such thing")

    with pytest.raises(TypeError, match="no such thing"):
        unroll(net_of("lstm", SIZES)._replace(unroll=wrong), None, random_vectors(), ())


# Against the transcriptions of cells_numpy.

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@partial(jit, static_argnums=0)
def run_both_ways(kind: str, params: Any, state: Any, xs: jax.Array) -> tuple:
    """(Last state, outputs) of the fast path, the same step by step, and the gates [T, H]."""
    cell = net_of(kind, SIZES)

    def step(state: Any, x: jax.Array) -> tuple:
        gates = cell.activations(params, state, x)
        state, y = cell.step(params, state, x)
        return state, (y, gates)

    last, (ys, gates) = lax.scan(step, state, xs)
    return unroll(cell, params, xs, state), (last, ys), gates


@cache
def results(kind: str, from_zero: bool) -> tuple[Any, np.ndarray, np.ndarray, tuple]:
    """(Parameters, inputs, first state, jaxrnn's results), all float64 and random."""
    with jax.enable_x64(True):
        cell = net_of(kind, SIZES)
        params, xs = random_params(cell), random_vectors()
        assert all(np.all(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(params))
        state = cell.initial_state(params)
        if not from_zero:
            state = random_like(state, seed=4)
        return params, np.asarray(xs), state, run_both_ways(kind, params, state, xs)


def hidden_and_memory(state: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(state, LSTMState):
        return np.asarray(state.hidden), np.asarray(state.cell)
    if isinstance(state, ExponentialState):
        h, c, n, m = map(np.asarray, state)
        return h, np.stack([c, n]) * np.exp(m)
    return np.asarray(state), np.zeros_like(state)


@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_another_state"])
@pytest.mark.parametrize("kind", cells_numpy.CELLS)
def test_outputs_and_last_state_are_the_transcriptions(kind, from_zero):
    params, xs, state, (fast, stepped, _) = results(kind, from_zero)
    # The transcription has zeros of its own to start from.
    start = () if from_zero else hidden_and_memory(state)
    expected = cells_numpy.run(kind, cells_numpy.from_jaxrnn(kind, params), xs, *start)
    for last, ys in (fast, stepped):
        assert ys.dtype == np.float64
        np.testing.assert_allclose(ys, expected.outputs, **EXACT)
        hidden, memory = hidden_and_memory(last)
        np.testing.assert_allclose(hidden, expected.hidden, **EXACT)
        np.testing.assert_allclose(memory, expected.memory, **EXACT)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", cells_numpy.CELLS)
def test_gradient_is_the_slope_of_the_transcription(kind):
    cell = net_of(kind, (3, 2, 3))
    params, xs = random_params(cell), random_vectors()[:, :3]
    weights, unravel = ravel_pytree(params)
    of_outputs = random_like(jnp.zeros((NUM_STEPS, 3)), seed=6)

    def of_transcription(rows: np.ndarray) -> np.ndarray:
        runs = [
            cells_numpy.run(kind, cells_numpy.from_jaxrnn(kind, unravel(row)), np.asarray(xs))
            for row in rows
        ]
        return np.array([np.vdot(of_outputs, one.outputs) for one in runs])

    def of_cell(params: Any) -> jax.Array:
        return jnp.vdot(of_outputs, unroll(cell, params, xs)[1])

    slope = central_differences(of_transcription, np.asarray(weights))
    gradient, _ = ravel_pytree(jit(jax.grad(of_cell))(params))
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-9)


def expected_gates(kind: str, params: Any, xs: np.ndarray) -> dict[str, np.ndarray]:
    if kind in cells_numpy.CELLS:
        return cells_numpy.run(kind, cells_numpy.from_jaxrnn(kind, params), xs).gates
    (layer,) = notebook.from_jaxrnn(params)
    _, tape = notebook.BUILDERS[kind].forward(layer, xs)
    if kind == "simple_rnn":
        return {"candidate": np.array([h for _, _, h in tape])}
    columns = {"input": 3, "forget": 4, "output": 5, "candidate": 6}
    return {gate: np.array([step[k] for step in tape]) for gate, k in columns.items()}


@pytest.mark.parametrize("kind", [*GATED, "mgu"])
def test_activations_are_the_gates_of_every_step(kind):
    params, xs, _, (_, _, gates) = results(kind, True)
    expected = expected_gates(kind, params, xs)
    assert set(gates) == set(expected)
    assert set(net_of(kind, SIZES).gates) == set(expected)
    for gate, values in expected.items():
        np.testing.assert_allclose(gates[gate], values, **EXACT, err_msg=gate)


@pytest.mark.parametrize("initializer", [notebook_xavier(), chrono(9)])
def test_the_identity_net_starts_as_its_paper_says_whatever_the_initializer(initializer):
    params = net_of("irnn", (100, 60, 80)).init(jax.random.key(0), initializer)
    np.testing.assert_array_equal(params.recurrent_weights, np.eye(60))
    np.testing.assert_array_equal(params.bias, np.zeros(60))
    np.testing.assert_array_equal(params.output_bias, np.zeros(80))
    for weights in (params.input_weights, params.output_weights):
        # of 4,800 or more normal numbers, to four standard errors
        assert abs(np.mean(weights)) < 4 * 0.001 / np.sqrt(weights.size)
        assert np.std(weights) == pytest.approx(0.001, rel=4 / np.sqrt(2 * weights.size))
        assert np.mean(np.abs(weights) < 0.001) == pytest.approx(0.6827, abs=0.03)
    into, out = (np.ravel(leaf)[:4800] for leaf in (params.input_weights, params.output_weights))
    assert abs(np.corrcoef(into, out)[0, 1]) < 0.1


@pytest.mark.usefixtures("x64")
def test_a_cell_that_does_not_add_up_heeds_no_slope():
    cell = gated(
        SIZES,
        gates=("candidate",),
        activate=lambda own, h, x_product, h_product, b: [jnp.tanh(x_product + b * h_product)],
        update=lambda own, h, candidate: candidate,
        initial_state=jnp.zeros,
        hidden=lambda h: h,
        adds_up=False,
        slope=lambda candidate: 1 - candidate * candidate,
    )
    params, xs = random_params(cell), random_symbols()
    state = random_like(cell.initial_state(params), seed=3)
    assert_trees_close(
        results_and_gradients(cell, params, state, xs),
        results_and_gradients(plain(cell), params, state, xs),
        **FLOAT64,
    )
