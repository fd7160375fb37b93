"""What every cell keeps to, whatever its equations, and its equations by the transcriptions."""

import re
from collections.abc import Iterable
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import cells_numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    FLOAT32,
    FLOAT64,
    GATED,
    KINDS,
    assert_trees_close,
    central_differences,
    factors,
    in_equations,
    name_of,
    net_of,
    of_kind,
    plain,
    random_like,
    random_params,
    random_sum,
    random_symbols,
    random_vectors,
    results_and_gradients,
)
from jax import lax
from jax.flatten_util import ravel_pytree

from jaxrnn import Cell, InputError, unroll

# I, H and O differ, so that none is taken for another.
SIZES = 4, 3, 2
SHAPE = 9, 4  # T, I

STACKS = {"simple_rnn, 3 layers": 3, "lstm, 3 layers": 3, "gru, 2 layers": 2}
NETS = [*KINDS, "simple_rnn, 3 layers", "lstm, 3 layers"]
# They differ from their cell in a number or a function of its equations alone, so that they are
# left out of what such a thing cannot change.
BY_EQUATIONS = ("janet, ", "co_rnn, ", "slstm, ", "one_cell, ", "delta_net, ", "s6, ")
BY_EQUATIONS += ("delta_product, ",)
over_all = pytest.mark.parametrize("kind", NETS)
MOST = [kind for kind in NETS if not kind.startswith(BY_EQUATIONS)]
over_most = pytest.mark.parametrize("kind", MOST)
ONE_LAYER = [kind for kind in KINDS if not kind.startswith(BY_EQUATIONS)]


def some_at_once(kinds: Iterable[str], *few: str) -> list[Any]:
    """Kinds, all of them slow but for a few."""
    return [kind if kind in few else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


OF_LAYERS = ("lstm, 3 layers", "gru, 2 layers")
# One for each way to write a scan. The others are slow where another test, or the transcriptions,
# would tell as much.
FEW = ("lstm", "lstm_peephole", "lstm_layer_norm", "gru", "min_lstm", "one_cell", "sco_rnn")
FEW += ("delta_net", *OF_LAYERS)

over_few = pytest.mark.parametrize("kind", some_at_once(MOST, *FEW))


def build(kind: str, sizes: tuple = SIZES, change: Any = lambda cell: cell) -> Cell:
    """A cell, or a stack, each of whose layers is changed."""
    if kind not in STACKS:
        return change(of_kind(kind, sizes))
    return net_of(name_of(kind), sizes, STACKS[kind], change)


class Case(NamedTuple):
    """A cell with random parameters, none of them 0, and what it may begin with; all float64."""

    cell: Cell
    params: Any
    states: dict[str, Any]
    inputs: dict[str, jax.Array]


@cache
def case(kind: str) -> Case:
    with jax.enable_x64(True):
        cell = build(kind)
        # Numbers with which rectified units are on at first and no exponential becomes large.
        params = random_params(cell, seed=6)
        assert all(np.all(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(params))
        first, symbols = cell.initial_state(params), random_symbols(SHAPE)
        return Case(
            cell,
            params,
            {"first": first, "another": random_like(first, seed=7)},
            {
                "vectors": random_vectors(SHAPE),
                "symbols": symbols,
                "one-hot": jax.nn.one_hot(symbols, SIZES[0]),
            },
        )


# Programs are compiled once for several tests, since to compile is all their time.

run = jax.jit(unroll, static_argnums=0)


@cache
def results(
    kind: str,
    inputs: str = "vectors",
    state: str = "another",
    is_plain: bool = False,
    steps_at_once: int = 1,
) -> Any:
    """(Last state, outputs), and the gradients by parameters and state."""
    cell, params, states, xs = case(kind)
    cell = plain(cell) if is_plain else cell
    with jax.enable_x64(True):
        return results_and_gradients(cell, params, states[state], xs[inputs], steps_at_once)


@partial(jax.jit, static_argnums=0)
def look_and_step(cell: Cell, params: Any, state: Any, x: jax.Array) -> Any:
    seen = cell.activations(params, state, x) if cell.activations else {}
    state, y = cell.step(params, state, x)
    return state, (y, seen)


@cache
def stepped(kind: str, state: str = "another") -> Any:
    """Last state, outputs and activations, step by step."""
    cell, params, states, inputs = case(kind)
    last, rows = states[state], []
    with jax.enable_x64(True):
        for x in inputs["vectors"]:
            last, row = look_and_step(cell, params, last, x)
            rows.append(row)
        return last, *jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [(kind, "vectors") for kind in NETS]
    # That symbols act as vectors is tested for each.
    + [
        pytest.param(kind, "symbols", marks=[pytest.mark.slow] * (kind not in FEW)) for kind in NETS
    ],
)
def test_the_fast_path_gives_the_results_and_gradients_of_the_plain_scan(kind, inputs):
    expected = results(kind, inputs, is_plain=True)
    assert_trees_close(results(kind, inputs), expected, **FLOAT64)


@over_all
def test_symbols_act_as_their_one_hot_vectors(kind):
    expected = results(kind, "one-hot", "first")
    assert_trees_close(results(kind, "symbols", "first"), expected, **FLOAT64)


@over_all
def test_step_by_step_gives_what_unroll_gives(kind):
    for state in ("first", "another"):
        last, outputs, _ = stepped(kind, state)
        assert_trees_close((last, outputs), results(kind, "vectors", state)[0], **FLOAT64)


@pytest.mark.parametrize(
    ("kind", "is_plain"),
    [
        pytest.param(kind, False, id=f"{kind}-fast", marks=[pytest.mark.slow] * (kind not in FEW))
        for kind in (*ONE_LAYER, *OF_LAYERS)
    ]
    # The plain scan is the same one whatever the cell.
    + [pytest.param(kind, True, id=f"{kind}-plain") for kind in ("lstm", "gru", *OF_LAYERS)],
)
def test_several_steps_at_once_give_the_same(kind, is_plain):
    inputs = "vectors" if is_plain else "symbols"
    cell, params, states, xs = case(kind)
    with jax.enable_x64(True):
        traced = partial(results_and_gradients.trace, plain(cell) if is_plain else cell)
        loops = str(traced(params, states["another"], xs[inputs], 4).jaxpr)
    # A sum of all that was let in needs no loop.
    expected = set() if kind.startswith("one_cell") and not is_plain else {"4"}
    if kind == "sco_rnn":
        expected = {"1", "4"}  # the elimination goes row by row
    assert set(re.findall(r"unroll=(\d+)", loops)) == expected
    assert_trees_close(
        results(kind, inputs, is_plain=is_plain, steps_at_once=4),
        results(kind, inputs, is_plain=is_plain),
        **FLOAT64,
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", GATED)
def test_what_is_done_apart_on_accelerators_gives_the_same(kind, monkeypatch):
    _, params, states, inputs = case(kind)
    expected = results(kind, "symbols")
    on_cpu, chosen = lax.platform_dependent, []

    def of_others(*operands, cpu, default):
        chosen.append(default.__name__)
        return on_cpu(*operands, default=default)

    monkeypatch.setattr(lax, "platform_dependent", of_others)
    # A cell of its own, for which nothing has been traced yet.
    ours = results_and_gradients(build(kind), params, states["another"], inputs["symbols"], 4)
    assert_trees_close(ours, expected, **FLOAT64)
    assert {"apart", "by_product"} <= set(chosen)


@pytest.mark.usefixtures("x64")
@over_few
def test_unroll_starts_from_the_initial_state_of_the_cell(kind):
    def moved(state: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf + 0.3, state)

    def shifted(one: Cell) -> Cell:
        return one._replace(initial_state=lambda params: moved(one.initial_state(params)))

    cell, params, states, inputs = case(kind)
    xs = inputs["vectors"]
    ours = run(build(kind, change=shifted), params, xs)
    expected, _ = results_and_gradients(cell, params, moved(states["first"]), xs)
    assert_trees_close(ours, expected, **FLOAT64)
    (_, from_usual_state), _ = results(kind, "vectors", "first")
    assert abs(ours[1] - from_usual_state)[0].max() > 1e-3


@pytest.mark.usefixtures("x64")
@over_most
def test_a_sequence_cut_in_parts_goes_on_from_the_state(kind):
    cell, params, states, inputs = case(kind)
    last, outputs = states["another"], []
    for part in jnp.split(inputs["vectors"], 3):  # of one length, so that one program runs them
        last, ys = run(cell, params, part, last)
        outputs.append(ys)
    assert_trees_close((last, jnp.concatenate(outputs)), results(kind)[0], **FLOAT64)


@over_few
def test_rows_of_a_batch_do_not_touch_each_other(kind):
    cell = case(kind).cell
    run_batch = jax.jit(jax.vmap(partial(unroll, cell)))

    def stacked(trees: list) -> Any:
        return jax.tree.map(lambda *rows: jnp.stack(rows), *trees)

    params = [random_params(cell, seed) for seed in range(3)]
    xs = [random_vectors(SHAPE, seed) for seed in range(3)]
    batch = run_batch(stacked(params), stacked(xs))
    for row in range(3):
        alone = run(cell, params[row], xs[row])
        # float32, and a batch multiplies in another order.
        assert_trees_close(jax.tree.map(itemgetter(row), batch), alone, **FLOAT32)
    poisoned = run_batch(
        stacked([*params[:2], jax.tree.map(lambda a: a * jnp.nan, params[2])]), stacked(xs)
    )
    assert np.isnan(poisoned[1][2]).all()
    for row in range(2):
        assert_trees_close(*(jax.tree.map(itemgetter(row), b) for b in (poisoned, batch)), 0, 0)


@over_few
def test_results_and_gradients_have_the_precision_of_the_parameters(kind):
    cell, params, _, inputs = case(kind)

    def in_precision(dtype: Any) -> tuple[Any, Any]:
        cast = partial(jax.tree.map, lambda leaf: leaf.astype(dtype))
        both = cast((params, inputs["vectors"]))
        of_sum = jax.grad(lambda *both: jnp.sum(unroll(cell, *both)[1]))
        # The gradients' types are known from a trace, without another program to compile.
        return run(cell, *both), jax.eval_shape(of_sum, *both)

    exact, (in_params, _) = results(kind, "vectors", "first")
    assert {leaf.dtype for leaf in jax.tree.leaves((exact, in_params))} == {jnp.dtype("float64")}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(exact))
    # Of bfloat16's 8 bits one or two are lost on the way.
    for dtype, tolerance in ((jnp.float32, FLOAT32), (jnp.bfloat16, {"rtol": 0.05, "atol": 0.05})):
        ours, gradients = in_precision(dtype)
        assert {leaf.dtype for leaf in jax.tree.leaves((ours, gradients))} == {jnp.dtype(dtype)}
        assert_trees_close(jax.tree.map(np.float64, ours), exact, **tolerance)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", some_at_once(ONE_LAYER, *FEW))
def test_forward_derivatives_are_those_of_reverse_mode_or_refused(kind):
    cell, params, states, inputs = case(kind)
    xs, at = inputs["vectors"], (params, states["another"])
    direction = random_like(at, seed=2)

    def total(form: Cell, params: Any, state: Any) -> jax.Array:
        return random_sum(unroll(form, params, xs, state))

    _, gradients = results(kind)
    slope = np.vdot(ravel_pytree(gradients)[0], ravel_pytree(direction)[0])
    is_gated = name_of(kind) in GATED
    if is_gated:
        for forward in (jax.jvp, lambda f, *_: jax.jacfwd(f)(*at)):
            with pytest.raises(InputError, match="_replace"):
                forward(partial(total, cell), at, direction)
    for form in [plain(cell)] if is_gated else [plain(cell), cell]:
        _, forward = jax.jit(lambda form=form: jax.jvp(partial(total, form), at, direction))()
        np.testing.assert_allclose(forward, slope, rtol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", some_at_once(ONE_LAYER, "lstm", "gru", "min_lstm", "one_cell"))
def test_the_hessian_and_forward_mode_of_the_gradient_are_those_of_the_plain_scan(kind):
    cell = build(kind, (2, 2, 2))
    params, xs = random_params(cell), random_vectors((3, 2))
    state = random_like(cell.initial_state(params), seed=3)
    weights, unravel = ravel_pytree((params, state))
    direction = random_like(weights, seed=2)

    def total(form: Cell, weights: jax.Array) -> jax.Array:
        params, state = unravel(weights)
        return jnp.sum(unroll(form, params, xs, state)[1] ** 2)

    def both(weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_fast = partial(total, cell)
        _, along = jax.jvp(jax.grad(of_fast), (weights,), (direction,))
        return jax.hessian(of_fast)(weights), along

    fast, along = jax.jit(both)(weights)
    expected = jax.jit(jax.hessian(partial(total, plain(cell))))(weights)
    np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(along, expected @ direction, rtol=1e-9, atol=1e-11)


# Against the transcriptions of cells_numpy

EXACT = {"rtol": 1e-12, "atol": 1e-12}
over_states = pytest.mark.parametrize("state", ["first", "another"])


def transcribed(kind: str, params: Any, state: Any) -> cells_numpy.Run:
    xs = np.asarray(case(kind).inputs["vectors"])
    return cells_numpy.run(name_of(kind), params, xs, state, **KINDS.get(kind, {}))


def first_or_another(kind: str, state: str) -> Any:
    """A state as the equations know it; the first is zeros, not what the cell says it is."""
    with jax.enable_x64(True):
        arrays = jax.tree.map(np.asarray, in_equations(case(kind).states[state]))
    return jax.tree.map(np.zeros_like, arrays) if state == "first" else arrays


@over_states
@over_all
def test_outputs_and_last_state_are_the_transcriptions(kind, state):
    expected = transcribed(kind, case(kind).params, first_or_another(kind, state))
    for last, ys, *_ in (results(kind, "vectors", state)[0], stepped(kind, state)):
        assert ys.dtype == np.float64
        np.testing.assert_allclose(ys, expected.outputs, **EXACT)
        with jax.enable_x64(True):
            assert_trees_close(in_equations(last), expected.state, **EXACT)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if of_kind(kind, SIZES).gates])
def test_activations_are_the_gates_of_every_step(kind):
    cell, params, states, inputs = case(kind)
    named: list[str] = []
    look = partial(cell.activations, params, states["another"])
    jax.eval_shape(lambda x: named.extend(look(x)), inputs["vectors"][0])
    assert tuple(named) == cell.gates
    *_, gates = stepped(kind)
    expected = transcribed(kind, params, first_or_another(kind, "another")).gates
    assert_trees_close(gates, expected, **EXACT)


@pytest.mark.usefixtures("x64")
@over_states
@pytest.mark.parametrize("kind", [k for k in NETS if k != "memory_blocks"])
def test_gradient_is_the_slope_of_the_transcription(kind, state):
    # That of memory blocks is truncated; test_memory_blocks.py has it.
    def total(params: Any, state: Any) -> float:
        one = transcribed(kind, params, jax.tree.map(np.asarray, in_equations(state)))
        leaves = jax.tree.leaves((one.state, one.outputs))
        flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
        return factors(flat.size) @ flat  # as random_sum of helpers

    _, params, states, _ = case(kind)
    _, (in_params, in_state) = results(kind, "vectors", state)
    slopes = central_differences(lambda params: total(params, states[state]), params)
    assert_trees_close(in_params, slopes, rtol=1e-6, atol=1e-9)
    if state == "another":  # at the first there may be -inf, and curves too sharp for a difference
        slopes = central_differences(lambda moved: total(params, moved), states[state])
        assert_trees_close(in_state, slopes, rtol=1e-6, atol=1e-9)
