"""What every cell keeps to, whatever its equations, and its equations by the transcriptions."""

import re
from collections.abc import Iterable
from functools import cache, partial
from typing import Any, NamedTuple

import cells_numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
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
NETS = [*KINDS, "simple_rnn, 3 layers", "lstm, 3 layers"]
# One for each way to write a scan; of the others the transcriptions tell as much.
FEW = ("lstm", "min_lstm")
# Their equations are almost another's.
ALIKE = {"slstm, exponential", "janet, beta 0.0", "janet, beta 0.5", "janet, beta 3.0"}
ALIKE |= {"min_lstm, positive", "co_rnn, adding", "co_rnn, fast", "delta_net, negative"}
ALIKE |= {"delta_product", "s6, negative", "one_cell, bipolar", "lstm, 3 layers"}


def over(kinds: Iterable[str], few: Iterable[str]) -> Any:
    """A test of some kinds, all of them slow but for a few."""
    return pytest.mark.parametrize(
        "kind",
        [kind if kind in few else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds],
    )


def build(kind: str, sizes: tuple = SIZES) -> Cell:
    """A cell, or a stack."""
    is_stack = kind.endswith("layers")
    return net_of(name_of(kind), sizes, 3) if is_stack else of_kind(kind, sizes)


class Case(NamedTuple):
    """A cell with random parameters, none of them 0, and a state to begin with; all float64."""

    cell: Cell
    params: Any
    state: Any
    vectors: jax.Array
    symbols: jax.Array


@cache
def case(kind: str) -> Case:
    with jax.enable_x64(True):
        cell = build(kind)
        # Numbers with which rectified units are on at first and no exponential becomes large.
        params = random_params(cell, seed=6)
        assert all(np.all(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(params))
        state = random_like(jax.eval_shape(cell.initial_state, params), seed=7)
        return Case(cell, params, state, random_vectors(SHAPE), random_symbols(SHAPE))


# Against the transcriptions of cells_numpy

EXACT = {"rtol": 1e-12, "atol": 1e-12}
MASK = np.array([0, 1, 1, 0, 1, 1, 1, 0, 0], bool)


@partial(jax.jit, static_argnums=0)
def everything(cell: Cell, params: Any, state: Any, symbols: Any, xs: Any, masked: Any) -> Any:
    """In one program, since to compile is all its time: results and gradients from a state, with
    symbols; the same of vectors with a mask, from the cell's own state; last state, outputs and
    gates step by step."""

    def step(state: Any, x: jax.Array) -> Any:
        seen = cell.activations(params, state, x) if cell.activations else {}
        state, y = cell.step(params, state, x)
        return state, (y, seen)

    def summed(params: Any) -> tuple[jax.Array, Any]:
        last, ys = unroll(cell, params, masked, mask=MASK)
        return random_sum((last, ys[np.flatnonzero(MASK)])), (last, ys)

    last, (ys, seen) = lax.scan(step, state, xs)
    by_params, with_mask = jax.grad(summed, has_aux=True)(params)
    whole = results_and_gradients(cell, params, state, symbols)
    return whole, (with_mask, by_params), (last, ys), seen


@pytest.mark.usefixtures("x64")
@over(NETS, {*NETS} - ALIKE)
def test_results_and_gradients_are_the_transcriptions(kind):
    """Outputs, last state, gates, and the gradients of a random sum of outputs and last state, of
    symbols and of vectors with a mask, where what is skipped is not a number."""
    cell, params, state, vectors, symbols = case(kind)
    xs = np.asarray(vectors)
    one_hot = np.eye(SIZES[0])[symbols]
    (results, gradients), (masked, of_masked), stepped, seen = everything(
        cell, params, state, symbols, xs, np.where(MASK[:, None], xs, np.nan)
    )

    def transcribed(params: Any, state: Any, xs: np.ndarray = one_hot) -> cells_numpy.Run:
        return cells_numpy.run(name_of(kind), params, xs, state, **KINDS.get(kind, {}))

    def total(one: cells_numpy.Run) -> float:
        leaves = jax.tree.leaves((one.state, one.outputs))
        flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
        return factors(flat.size) @ flat  # as random_sum of helpers

    def known(state: Any) -> Any:
        return jax.tree.map(np.asarray, in_equations(state))

    begun = known(state)
    expected = transcribed(params, begun, xs)
    for (last, ys), wanted in ((results, transcribed(params, begun)), (stepped, expected)):
        assert ys.dtype == np.float64
        np.testing.assert_allclose(ys, wanted.outputs, **EXACT)
        assert_trees_close(known(last), wanted.state, **EXACT)
    named: list[str] = []
    if cell.activations is not None:
        jax.eval_shape(lambda x: named.extend(cell.activations(params, state, x)), xs[0])
        assert_trees_close(seen, expected.gates, **EXACT)
    assert tuple(named) == (() if cell.activations is None else cell.gates)

    zeros = jax.tree.map(np.zeros_like, begun)
    expected = transcribed(params, zeros, xs[MASK])
    np.testing.assert_allclose(masked[1][MASK], expected.outputs, **EXACT)
    assert not masked[1][~MASK].any()
    assert_trees_close(known(masked[0]), expected.state, **EXACT)

    if kind == "memory_blocks":  # its gradient is truncated; test_memory_blocks.py has it
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(of_masked))
        return
    close = {"rtol": 1e-6, "atol": 1e-9}
    # Exponential forget gates need the fourth order, which takes twice the calls.
    order = 4 if kind in ALIKE else 2
    slopes = central_differences(lambda params: total(transcribed(params, begun)), params, order)
    assert_trees_close(gradients[0], slopes, **close)
    slopes = central_differences(
        lambda moved: total(transcribed(params, known(moved))), state, order
    )
    assert_trees_close(gradients[1], slopes, **close)
    slopes = central_differences(
        lambda params: total(transcribed(params, zeros, xs[MASK])), params, order
    )
    assert_trees_close(of_masked, slopes, **close)


# The forms of a cell against each other

run = jax.jit(unroll, static_argnums=0)


@over(NETS, ("lstm", "lstm_peephole", "gru"))
def test_several_steps_at_once_give_the_same(kind, monkeypatch):
    """And what is done apart on accelerators, where a cell is one of gates."""
    cell, params, state, _, symbols = case(kind)

    def loops(cell: Cell) -> set[str]:
        traced = results_and_gradients.trace(cell, params, state, symbols, 4)
        return set(re.findall(r"unroll=(\d+)", str(traced.jaxpr)))

    on_cpu, chosen = lax.platform_dependent, []

    def of_others(*operands, cpu, default):
        chosen.append(default.__name__)
        return on_cpu(*operands, default=default)

    with jax.enable_x64(True):
        # A sum of all that was let in needs no loop, and the elimination goes row by row.
        expected = {"one_cell": set(), "sco_rnn": {"1", "4"}}.get(name_of(kind), {"4"})
        assert loops(cell) == expected
        assert "4" in loops(plain(cell))
        expected = results_and_gradients(cell, params, state, symbols)
        ours = results_and_gradients(cell, params, state, symbols, 4)
        assert_trees_close(ours, expected, **FLOAT64)
        if kind in GATED:
            monkeypatch.setattr(lax, "platform_dependent", of_others)
            # A cell of its own, for which nothing has been traced yet.
            ours = results_and_gradients(build(kind), params, state, symbols, 4)
            assert_trees_close(ours, expected, **FLOAT64)
            assert {"by_weights", "rows"} <= set(chosen)


def test_unroll_starts_from_the_initial_state_of_the_cell():
    cell, params, begun, xs, _ = case("lstm")
    with jax.enable_x64(True):
        ours = run(cell._replace(initial_state=lambda params: begun), params, xs)
        assert_trees_close(ours, run(cell, params, xs, begun), **FLOAT64)


@over(NETS, FEW)
def test_results_and_gradients_have_the_precision_of_the_parameters(kind):
    cell, params, state, xs, _ = case(kind)
    with jax.enable_x64(True):
        exact = run(cell, params, xs, state)
    greatest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(exact))
    in_float32 = {"rtol": 1e-4, "atol": 1e-6 * max(1.0, greatest)}
    # Of bfloat16's 8 bits one or two are lost on the way.
    for dtype, tolerance in (
        (jnp.float32, in_float32),
        (jnp.bfloat16, {"rtol": 0.05, "atol": 0.05}),
    ):
        three = jax.tree.map(
            lambda leaf, to=dtype: np.asarray(leaf).astype(to), (params, xs, state)
        )
        ours = run(cell, *three)
        of_sum = jax.grad(lambda *three: jnp.sum(unroll(cell, *three)[1]))
        # The gradients' types are known from a trace, without another program to compile.
        gradients = jax.eval_shape(of_sum, *three)
        assert {leaf.dtype for leaf in jax.tree.leaves((ours, gradients))} == {jnp.dtype(dtype)}
        assert_trees_close(jax.tree.map(np.float64, ours), exact, **tolerance)


@pytest.mark.usefixtures("x64")
@over(KINDS, FEW)
def test_forward_derivatives_are_those_of_reverse_mode_or_refused(kind):
    """And forward mode of the gradient, which a Hessian takes, is that of the plain scan."""
    cell, params, state, _, xs = case(kind)
    at = params, state
    direction = random_like(at, seed=2)

    def total(form: Cell, at: Any) -> jax.Array:
        return random_sum(unroll(form, at[0], xs, at[1]))

    @partial(jax.jit, static_argnums=0)
    def derivatives(form: Cell) -> Any:
        return jax.jvp(jax.grad(partial(total, form)), (at,), (direction,))

    ours, expected = derivatives(cell), derivatives(plain(cell))
    assert_trees_close(ours, expected, rtol=1e-9, atol=1e-11)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(ours[1])) > 0.1
    slope = np.vdot(ravel_pytree(ours[0])[0], ravel_pytree(direction)[0])
    is_gated = name_of(kind) in GATED
    if is_gated:
        for forward in (jax.jvp, lambda f, *_: jax.jacfwd(f)(at)):
            with pytest.raises(InputError, match="_replace"):
                forward(partial(total, cell), (at,), (direction,))
    for form in [plain(cell)] if is_gated else [plain(cell), cell]:
        along = jax.jit(lambda form=form: jax.jvp(partial(total, form), (at,), (direction,))[1])
        np.testing.assert_allclose(along(), slope, rtol=1e-10)
