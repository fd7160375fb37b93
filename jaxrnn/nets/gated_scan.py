"""The scan of a cell of gates over a sequence's time steps, with a gradient of its own.

On a CPU the time of an update is that of its arithmetic, so as little as possible is computed
twice. An accelerator does several time steps at once, and the time is that of starting operations.
So there each time step is one product and one other operation, forward and backward.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from jaxrnn.nets.base import Mask, State, after_step
from jaxrnn.nets.products import add_bias, barrier, by_weights, vector_product


def scan_in_one(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    over: Any,
    steps_at_once: int,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """``lax.scan``. On accelerators it carries a single array, since each array would cost one
    operation in every iteration."""
    if steps_at_once == 1:
        return lax.scan(step, carry, over, reverse=reverse)
    flat, unravel = ravel_pytree(carry)

    def in_one(flat: jax.Array, at: Any) -> tuple[jax.Array, Any]:
        carry, out = step(unravel(flat), at)
        return ravel_pytree(carry)[0], out

    last, outs = lax.scan(in_one, flat, over, reverse=reverse, unroll=steps_at_once)
    return unravel(last), outs


def in_one_operation(row: jax.Array) -> jax.Array:
    """A concatenation that an accelerator computes in one operation, however its parts are used.
    Without this, XLA would use one operation for each part."""
    return lax.optimization_barrier(row)


class Equations(NamedTuple):
    """The part of a cell's equations that is inside the scan; see :func:`jaxrnn.gated`."""

    activate: Callable[..., list[jax.Array]]
    update: Callable[..., State]
    hidden: Callable[[State], jax.Array]
    adds_up: bool
    # See :func:`jaxrnn.gated`. Of a cell that adds up it gives the gradient by a(t) alone, (d,).
    pull_back: Callable[..., tuple[jax.Array, ...]] | None
    steps_at_once: int = 1  # see unroll
    # Whether states and products are those of B sequences, [B, ...] and [T, B, ...]. On CPUs only,
    # and only with ``advance`` or, if the cell adds up, ``pull_back``.
    together: bool = False
    # See :func:`jaxrnn.gated`. Used for sequences that are taken together, if the cell does not add
    # up.
    advance: Callable[..., State] | None = None

    def each(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function of one sequence, for all that are taken together."""
        return jax.vmap(function) if self.together else function


def _plain_scan(
    equations: Equations,
    weights: jax.Array,
    bias: jax.Array,
    own: Any,
    state: State,
    products: jax.Array,
    mask: Mask,
) -> tuple[State, jax.Array]:
    """The scan of a gated cell over x U [T, G H]: (last state, hidden units [T, H]).

    Of sequences that are taken together it is [T, B, G H], [B, ...] and [T, B, H]. With a mask [T],
    which those do not have, a skipped step leaves the state as it is. Nothing may depend on the
    hidden units of such a step.
    """
    if equations.adds_up:
        return _scan_of_sums(equations, weights, mask, own, state, add_bias(products, bias))
    zeros = jnp.zeros_like(products)
    return _scan_apart(equations, weights, mask, bias, own, state, products, zeros)


def _scan_of_sums(
    equations: Equations, weights: jax.Array, mask: Mask, own: Any, state: State, sums: jax.Array
) -> tuple[State, jax.Array]:
    """The same over x U + b, of a cell that adds up."""

    @equations.each
    def step(state: State, at: tuple[jax.Array, Mask]) -> tuple[State, jax.Array]:
        summed, counts = at
        product = vector_product(equations.hidden(state), weights)
        return _after(equations, own, state, summed + product, (), counts)

    return lax.scan(step, state, (sums, mask), unroll=equations.steps_at_once)


def _scan_apart(
    equations: Equations,
    weights: jax.Array,
    mask: Mask,
    bias: jax.Array,
    own: Any,
    state: State,
    products: jax.Array,
    zeros: jax.Array,
) -> tuple[State, jax.Array]:
    """The same of a cell that does not add up, ``zeros`` [T, G H] added to its h W."""
    hidden = equations.hidden

    @equations.each
    def step(state: State, at: tuple[jax.Array, jax.Array, Mask]) -> tuple[State, jax.Array]:
        x_product, zero, counts = at
        h_product = vector_product(hidden(state), weights) + zero
        if equations.together:
            assert equations.advance is not None
            state = equations.advance(own, state, x_product + bias, h_product)
            return state, hidden(state)
        return _after(equations, own, state, h_product, (x_product, bias), counts)

    return lax.scan(step, state, (products, zeros, mask), unroll=equations.steps_at_once)


# The scan is differentiated only by the sum that h W is added to, and one product afterwards gives
# the gradient of W. So the backward scan does not have to add to a matrix at every step.
gated_scan = jax.custom_vjp(_plain_scan, nondiff_argnums=(0,))


def _scan_forward(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    """The scan, and what gives the gradients of its operands."""
    # Sequences that are taken together have ``advance`` instead, where gates do not add up.
    in_rows = equations.pull_back and (equations.adds_up or not equations.together)
    forward = _forward_in_rows if in_rows else _forward_plain
    return forward(equations, weights, bias, *rest)


def _scan_backward(equations: Equations, pull_back: Partial, cotangents: Any) -> tuple[Any, ...]:
    return *pull_back(*cotangents), None  # no gradient by the mask


def _forward_plain(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    own, first, products, mask = rest
    operands: tuple[Any, ...] = (own, first, add_bias(products, bias))
    if not equations.adds_up:
        operands = (bias, own, first, products, jnp.zeros_like(products))
    scan = _scan_of_sums if equations.adds_up else _scan_apart
    (last, hs), pullback = jax.vjp(partial(scan, equations, weights, mask), *operands)
    before = jnp.concatenate([equations.hidden(first)[None], hs[:-1]])
    return (last, hs), Partial(partial(_pull_back_plain, equations), pullback, before)


def _pull_back_plain(
    equations: Equations, pullback: Any, before: jax.Array, d_last: State, d_hs: jax.Array
) -> tuple[Any, ...]:
    """The gradients by W, b, own, first state and x U, from the scan's own by its operands."""
    *d_rest, d_h_products = pullback((d_last, d_hs))
    d_weights, d_bias = by_weights(before, d_h_products)
    if equations.adds_up:
        return (d_weights, d_bias, *d_rest, d_h_products)
    return (d_weights, *d_rest)


def _forward_in_rows(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    """The forward scan of cells with ``pull_back``: only the states and the activations are kept,
    and h W if the cell does not add up."""
    own, first, products, mask = rest
    size, unravel = _of_one(equations, first)
    starts: tuple[int, ...] = ()

    @equations.each
    def step(state: State, at: tuple[jax.Array, Mask]) -> tuple[State, jax.Array]:
        nonlocal starts
        x_product, counts = at
        h_product = vector_product(equations.hidden(state), weights)
        if equations.together:
            x_product = x_product + bias  # in one pass with what comes after it
        if equations.adds_up:
            kept = gates = equations.activate(own, state, x_product + h_product)
        else:
            gates = equations.activate(own, state, x_product, h_product, bias)
            kept = [*gates, h_product]
        after = equations.update(own, state, *gates)
        row, starts = _row(after, kept)
        state = after_step(counts, after, state)
        if counts is not None:
            row = jnp.concatenate([ravel_pytree(state)[0], row[size:]])
        if equations.steps_at_once > 1:
            row = in_one_operation(row)
            state = unravel(row[:size])
        return state, row

    # In one array: each array that a scan writes takes XLA's CPU back end as long as one gate.
    if equations.adds_up and not equations.together:
        products = add_bias(products, bias)
    last, rows = scan_in_one(step, first, (products, mask), equations.steps_at_once)
    hs = jax.vmap(equations.each(lambda row: equations.hidden(unravel(row[:size]))))(rows)
    pull_back = partial(_pull_back_in_rows, equations, starts)
    return (last, hs), Partial(pull_back, weights, own, first, rows, mask)


def _of_one(equations: Equations, first: State) -> tuple[int, Callable[[jax.Array], State]]:
    """How many numbers the state of one sequence has, and a function that makes the state of
    them."""
    one = jax.tree.map(lambda leaf: leaf[0], first) if equations.together else first
    flat, unravel = ravel_pytree(one)
    return flat.size, unravel


def _row(state: State, kept: list[jax.Array]) -> tuple[jax.Array, tuple[int, ...]]:
    """A state, followed by the arrays that are not among its leaves; and where each begins."""
    parts, starts = [ravel_pytree(state)[0]], []
    leaves = jax.tree.leaves(state)
    for one in kept:
        before = [leaf is one for leaf in leaves]
        if any(before):
            starts.append(sum(leaf.size for leaf in leaves[: before.index(True)]))
        else:
            starts.append(sum(part.size for part in parts))
            parts.append(one)
    return jnp.concatenate(parts), tuple(starts)


def _pull_back_in_rows(
    equations: Equations,
    starts: tuple[int, ...],
    weights: jax.Array,
    own: Any,
    first: State,
    rows: jax.Array,
    mask: Mask,
    d_last: State,
    d_hs: jax.Array,
) -> tuple[Any, ...]:
    """The gradients by W, b, own, first state and x U, from what is kept of all steps (see
    :func:`_row`)."""
    update, hidden, pull_back = equations.update, equations.hidden, equations.pull_back
    steps_at_once, together = equations.steps_at_once, equations.together
    assert pull_back is not None
    size, unravel = _of_one(equations, first)
    flat = equations.each(lambda state: ravel_pytree(state)[0])(first)
    before = jnp.concatenate([flat[None], rows[:-1, ..., :size]])
    hidden_size, width = weights.shape
    starts = starts if equations.adds_up else starts[:-1]  # of the activations
    # As in products.py, a product of transposed matrices takes long.
    transposed = barrier(weights.T) if together else None

    def updated(own: Any, state: State, gates: jax.Array) -> tuple[State, jax.Array]:
        state = update(own, state, *jnp.split(gates, len(starts)))
        return state, hidden(state)

    @equations.each
    def step(d_state: State, at: Any) -> tuple[Any, tuple[jax.Array, ...]]:
        before, row, d_h, counts = at
        state = unravel(before)
        if counts is not None:  # a skipped step passes the gradient on, and makes all others 0
            zeros = jax.tree.map(jnp.zeros_like, d_state)
            passed_on, d_state = after_step(counts, (zeros, d_state), (d_state, zeros))
        gates = jnp.concatenate([row[start : start + hidden_size] for start in starts])
        _, pullback = jax.vjp(updated, own, state, gates)
        d_own_here, d_state, d_gates = pullback((d_state, d_h))
        # One of a cell that adds up; of others that by x U + b and that by h W.
        d_sums = pull_back(gates, row[-width:], d_gates)
        if steps_at_once > 1:
            both, unravel_both = ravel_pytree((d_sums, d_state))
            d_sums, d_state = unravel_both(in_one_operation(both))
        else:
            d_sums = barrier(d_sums)  # between barriers XLA computes it once for its two uses
        _, pull_hidden = jax.vjp(hidden, state)
        d_sum = d_sums[-1]
        (d_recurrent,) = pull_hidden(d_sum @ transposed if together else weights @ d_sum)
        d_state = jax.tree.map(jnp.add, d_state, d_recurrent)
        if counts is not None:
            d_state = jax.tree.map(jnp.add, d_state, passed_on)
        # What is added up over the steps: the gradients by own, and by a bias that is apart.
        added = (d_own_here, *d_sums[:-1])
        return (added, d_state), d_sums

    def one(carry: Any, at: Any) -> tuple[Any, tuple[jax.Array, ...]]:
        added, d_state = carry
        (added_here, d_state), d_sums = step(d_state, at)
        if together:
            added_here = jax.tree.map(lambda of_each: of_each.sum(0), added_here)
        return (jax.tree.map(jnp.add, added, added_here), d_state), d_sums

    apart = () if equations.adds_up else (weights[0],)  # as long as the bias
    start = (jax.tree.map(jnp.zeros_like, (own, *apart)), d_last)
    over = (before, rows, d_hs, mask)
    ((d_own, *d_bias), d_first), d_sums = scan_in_one(one, start, over, steps_at_once, reverse=True)
    hs_before = jax.vmap(equations.each(lambda row: hidden(unravel(row))))(before)
    d_weights, *by_product = by_weights(hs_before, d_sums[-1])
    return d_weights, *(d_bias or by_product), d_own, d_first, d_sums[0]


def _after(
    equations: Equations,
    own: Any,
    state: State,
    summed: jax.Array,
    apart: tuple[jax.Array, ...],
    counts: Mask = None,
) -> tuple[State, jax.Array]:
    """State and hidden units after a step, from the sum a(t); or, for a cell that does not add up,
    from h W and, in ``apart``, x U and b."""
    operands = (apart[0], summed, apart[1]) if apart else (summed,)
    after = equations.update(own, state, *equations.activate(own, state, *operands))
    state = after_step(counts, after, state)
    return state, equations.hidden(state)


gated_scan.defvjp(_scan_forward, _scan_backward)
