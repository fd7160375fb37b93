"""Cells of gates: one matrix product of all of them, on the fast path."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from jaxrnn.nets.affine import add_bias, affine, by_weights
from jaxrnn.nets.base import Cell, State, barrier, without_outputs
from jaxrnn.nets.elementary import vector_product
from jaxrnn.nets.initializers import Initializer, require_initializer


class GatedParams(NamedTuple):
    """Parameters of a cell built by :func:`gated`, its G gates side by side."""

    input_weights: jax.Array  # U [I, G H]
    recurrent_weights: jax.Array  # W [H, G H]
    bias: jax.Array  # b [G H]
    own: Any  # whatever else the cell's equations need, () for most
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


def gated(
    sizes: tuple[int, int, int],
    gates: tuple[str, ...],
    activate: Callable[..., list[jax.Array]],
    update: Callable[..., State],
    initial_state: Callable[[int], State],
    hidden: Callable[[State], jax.Array],
    *,
    own: Callable[[int], Any] = lambda hidden_size: (),
    adds_up: bool = True,
    slope: Callable[[jax.Array], jax.Array] | None = None,
) -> Cell:
    """Build a cell from what happens between one matrix product of all gates and the hidden units.

    With sizes (I, H, O): a(t) = x(t) U + h(t-1) W + b [G H], the gates' activations
    g(t) = activate(own, state(t-1), a(t)), [H] each, state(t) = update(own, state(t-1), *g(t)),
    h(t) = hidden(state(t)) [H], y(t) = h(t) V + output bias [O]; see :class:`GatedParams`.
    ``initial_state`` and ``own`` get H. The step takes x [I], or a symbol (an integer below I),
    whose product is a row of U. A cell whose equations need the summands of a(t) apart has
    ``adds_up`` False, and its ``activate`` gets (own, state, x U, h W, b). Where each activation is
    a function of its own element of a(t) alone, ``slope`` may say its derivative by the value that
    it took: dg/da [G H] of all gates' g [G H] side by side, 1 - g^2 where they are tanh.

    The fast path does x U and h V for all time steps in one product each, forward and backward,
    and so the gradient of W; only h W, ``activate`` and ``update`` stay in the scan. With ``slope``
    no more than states and activations is kept for the backward pass. It has reverse-mode
    derivatives only: for others differentiate a scan of ``step``.
    """
    num_inputs, hidden_size, num_outputs = sizes
    # A cell that does not add up has no a(t) whose slope it could be.
    equations = _Equations(activate, update, hidden, adds_up, slope if adds_up else None)

    def init(key: jax.Array, initializer: Initializer) -> GatedParams:
        require_initializer(initializer)
        input_key, recurrent_key, output_key, bias_key = jax.random.split(key, 4)
        return GatedParams(
            initializer.weights(input_key, len(gates), num_inputs, hidden_size),
            initializer.recurrent(recurrent_key, len(gates), hidden_size, hidden_size),
            initializer.biases(bias_key, gates, hidden_size),
            own(hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def first_state(params: GatedParams) -> State:
        zeros = initial_state(hidden_size)
        return jax.tree.map(lambda leaf: leaf.astype(params.bias.dtype), zeros)

    def project(params: GatedParams, x: jax.Array) -> jax.Array:
        if jnp.issubdtype(x.dtype, jnp.integer):
            return params.input_weights[x]
        return affine(x, params.input_weights, jnp.zeros_like(params.bias))

    def look(params: GatedParams, state: State, projected: jax.Array) -> list[jax.Array]:
        product = hidden(state) @ params.recurrent_weights
        if adds_up:
            return activate(params.own, state, projected + params.bias + product)
        return activate(params.own, state, projected, product, params.bias)

    def readout(params: GatedParams, h: jax.Array) -> jax.Array:
        return affine(h, params.output_weights, params.output_bias)

    def step(params: GatedParams, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        state = update(params.own, state, *look(params, state, project(params, x)))
        return state, readout(params, hidden(state))

    def fast(
        params: GatedParams, state: State, xs: jax.Array, steps_at_once: int = 1
    ) -> tuple[State, jax.Array]:
        operands = (params.recurrent_weights, params.bias, params.own, state, project(params, xs))
        state, hs = _scan(equations._replace(steps_at_once=steps_at_once), *operands)
        return state, readout(params, hs)

    def activations(params: GatedParams, state: State, x: jax.Array) -> dict[str, jax.Array]:
        return dict(zip(gates, look(params, state, project(params, x)), strict=True))

    return Cell(init, first_state, step, fast, gates, activations, without_outputs)


class _Equations(NamedTuple):
    """What of a cell's equations stands in the scan; see :func:`gated`."""

    activate: Callable[..., list[jax.Array]]
    update: Callable[..., State]
    hidden: Callable[[State], jax.Array]
    adds_up: bool
    slope: Callable[[jax.Array], jax.Array] | None
    steps_at_once: int = 1  # see unroll


def _plain_scan(
    equations: _Equations,
    weights: jax.Array,
    bias: jax.Array,
    own: Any,
    state: State,
    products: jax.Array,
) -> tuple[State, jax.Array]:
    """The scan of a gated cell over x U [T, G H]: (last state, hidden units [T, H])."""
    if equations.adds_up:
        return _scan_of_sums(equations, weights, own, state, add_bias(products, bias))
    return _scan_apart(equations, weights, bias, own, state, products, jnp.zeros_like(products))


def _scan_of_sums(
    equations: _Equations, weights: jax.Array, own: Any, state: State, sums: jax.Array
) -> tuple[State, jax.Array]:
    """The same over x U + b, of a cell that adds up."""

    def step(state: State, summed: jax.Array) -> tuple[State, jax.Array]:
        state, _ = _advance(equations, weights, own, state, summed)
        return state, equations.hidden(state)

    return lax.scan(step, state, sums, unroll=equations.steps_at_once)


def _advance(
    equations: _Equations, weights: jax.Array, own: Any, state: State, summed: jax.Array
) -> tuple[State, list[jax.Array]]:
    product = vector_product(equations.hidden(state), weights)
    gates = equations.activate(own, state, summed + product)
    return equations.update(own, state, *gates), gates


def _scan_apart(
    equations: _Equations,
    weights: jax.Array,
    bias: jax.Array,
    own: Any,
    state: State,
    products: jax.Array,
    zeros: jax.Array,
) -> tuple[State, jax.Array]:
    """The same of a cell that does not add up, ``zeros`` [T, G H] added to its h W."""
    activate, update, hidden = equations[:3]

    def step(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        x_product, zero = at
        h_product = vector_product(hidden(state), weights) + zero
        state = update(own, state, *activate(own, state, x_product, h_product, bias))
        return state, hidden(state)

    return lax.scan(step, state, (products, zeros), unroll=equations.steps_at_once)


# Differentiating the scan by what h W is added to alone, and taking the gradient of W from that in
# one product afterwards, spares the backward scan a sum into a matrix at every step.
_scan = jax.custom_vjp(_plain_scan, nondiff_argnums=(0,))


def _scan_forward(
    equations: _Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Any]:
    own, first, products = rest
    if equations.slope is None:
        operands: tuple[Any, ...] = (own, first, add_bias(products, bias))
        if not equations.adds_up:
            operands = (bias, own, first, products, jnp.zeros_like(products))
        scan = _scan_of_sums if equations.adds_up else _scan_apart
        (last, hs), pullback = jax.vjp(partial(scan, equations, weights), *operands)
        before = jnp.concatenate([equations.hidden(first)[None], hs[:-1]])
        return (last, hs), (pullback, before)

    starts: tuple[int, ...] = ()

    def step(state: State, summed: jax.Array) -> tuple[State, jax.Array]:
        nonlocal starts
        state, gates = _advance(equations, weights, own, state, summed)
        row, starts = _row(state, gates)
        return state, row

    # In one array, since each that a scan writes takes XLA's CPU back end as long as a gate does.
    sums = add_bias(products, bias)
    last, rows = lax.scan(step, first, sums, unroll=equations.steps_at_once)
    flat, unravel = ravel_pytree(first)
    hs = jax.vmap(lambda row: equations.hidden(unravel(row[: flat.size])))(rows)
    return (last, hs), Partial(partial(_pull_back, equations, starts), weights, own, first, rows)


def _row(state: State, gates: list[jax.Array]) -> tuple[jax.Array, tuple[int, ...]]:
    """A state, and behind it the activations [H] that are no leaf of it; where each begins."""
    parts, starts = [ravel_pytree(state)[0]], []
    leaves = jax.tree.leaves(state)
    for gate in gates:
        before = [leaf is gate for leaf in leaves]
        if any(before):
            starts.append(sum(leaf.size for leaf in leaves[: before.index(True)]))
        else:
            starts.append(sum(part.size for part in parts))
            parts.append(gate)
    return jnp.concatenate(parts), tuple(starts)


def _scan_backward(equations: _Equations, residuals: Any, cotangents: Any) -> Any:
    if equations.slope is not None:
        before, gradients = residuals(*cotangents)
    else:
        pullback, before = residuals
        gradients = pullback(cotangents)
    if equations.adds_up:
        return *by_weights(before, gradients[-1]), *gradients
    *d_rest, d_h_products = gradients
    return by_weights(before, d_h_products)[0], *d_rest


def _pull_back(
    equations: _Equations,
    starts: tuple[int, ...],
    weights: jax.Array,
    own: Any,
    first: State,
    rows: jax.Array,
    d_last: State,
    d_hs: jax.Array,
) -> tuple[jax.Array, tuple[Any, State, jax.Array]]:
    """The gradients by own, first state and the sums, from the states and activations of all steps
    (see :func:`_row`), and the hidden units before each step [T, H]."""
    _, update, hidden, _, slope, steps_at_once = equations
    assert slope is not None
    flat, unravel = ravel_pytree(first)
    before = jnp.concatenate([flat[None], rows[:-1, : flat.size]])
    hidden_size = weights.shape[0]

    def updated(own: Any, state: State, gates: jax.Array) -> tuple[State, jax.Array]:
        state = update(own, state, *jnp.split(gates, len(starts)))
        return state, hidden(state)

    def step(carry: Any, at: Any) -> tuple[Any, jax.Array]:
        d_own, d_state = carry
        before, row, d_h = at
        state = unravel(before)
        gates = jnp.concatenate([row[start : start + hidden_size] for start in starts])
        _, pullback = jax.vjp(updated, own, state, gates)
        d_own_here, d_state, d_gates = pullback((d_state, d_h))
        # Between barriers XLA computes it once for its two uses.
        d_sum = barrier(d_gates * slope(gates))
        _, pull_hidden = jax.vjp(hidden, state)
        (d_recurrent,) = pull_hidden(weights @ d_sum)
        return jax.tree.map(jnp.add, (d_own, d_state), (d_own_here, d_recurrent)), d_sum

    start = (jax.tree.map(jnp.zeros_like, own), d_last)
    over = (before, rows, d_hs)
    (d_own, d_first), d_sum = lax.scan(step, start, over, reverse=True, unroll=steps_at_once)
    hs_before = jax.vmap(lambda row: hidden(unravel(row)))(before)
    return hs_before, (d_own, d_first, d_sum)


_scan.defvjp(_scan_forward, _scan_backward)
