"""The scan of a cell of gates over a sequence's time steps, with a gradient of its own.

On a CPU the time of an update is that of its arithmetic, so as little as possible is computed
twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from jaxrnn.nets import accelerators
from jaxrnn.nets.base import Mask, State, after_step, before_step
from jaxrnn.nets.products import add_bias, barrier, by_weights, vector_product

Episodes = tuple[jax.Array, State] | None
"""The steps at which one begins [T], and the state before it, a constant; None: only one."""


class Equations(NamedTuple):
    """The part of a cell's equations that is inside the scan; see :func:`jaxrnn.gated`."""

    activate: Callable[..., list[jax.Array]]
    update: Callable[..., State]
    hidden: Callable[[State], jax.Array]
    adds_up: bool
    # See :func:`jaxrnn.gated`. Of a cell that adds up it gives the gradient by a(t) alone, (d,).
    pull_back: Callable[..., tuple[jax.Array, ...]] | None
    steps_at_once: int = 1  # see unroll
    # Whether states and products are those of B sequences, [B, ...] and [T, B, ...]. On CPUs only.
    together: bool = False

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
    episodes: Episodes,
) -> tuple[State, jax.Array]:
    """The scan of a gated cell over x U [T, G H]: (last state, hidden units [T, H]).

    Of sequences that are taken together it is [T, B, G H], [B, ...] and [T, B, H]. With a mask [T],
    which those do not have, a skipped step leaves the state as it is. Nothing may depend on the
    hidden units of such a step. They have no episodes either.
    """
    added, apart = _summands(equations, bias, products)
    return _scan(equations, weights, mask, episodes, apart, own, state, added)


def _summands(equations: Equations, bias: jax.Array, products: jax.Array) -> tuple[jax.Array, Any]:
    """What is added to h W, and (b, x U) where a cell that does not add up needs them apart."""
    if equations.adds_up:
        return add_bias(products, bias), ()
    return jnp.zeros_like(products), (bias, products)


def _scan(
    equations: Equations,
    weights: jax.Array,
    mask: Mask,
    episodes: Episodes,
    apart: Any,
    own: Any,
    state: State,
    added: jax.Array,
) -> tuple[State, jax.Array]:
    """:func:`_plain_scan`, from :func:`_summands`."""
    bias, products = apart or (None, None)
    begin, begun = episodes or (None, None)

    @equations.each
    def step(state: State, at: Any) -> tuple[State, jax.Array]:
        x_product, added, counts, begins = at
        state = before_step(begins, begun, state)
        summed = added + vector_product(equations.hidden(state), weights)
        operands = (summed,) if equations.adds_up else (x_product, summed, bias)
        after = equations.update(own, state, *equations.activate(own, state, *operands))
        state = after_step(counts, after, state)
        return state, equations.hidden(state)

    over = (products, added, mask, begin)
    return lax.scan(step, state, over, unroll=equations.steps_at_once)


# The scan is differentiated only by the sum that h W is added to, and one product afterwards gives
# the gradient of W. So the backward scan does not have to add to a matrix at every step.
gated_scan = jax.custom_vjp(_plain_scan, nondiff_argnums=(0,))


def _scan_forward(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    """The scan, and what gives the gradients of its operands."""
    forward = _forward_plain if equations.pull_back is None else _forward_in_rows
    return forward(equations, weights, bias, *rest)


def _scan_backward(equations: Equations, pull_back: Partial, cotangents: Any) -> tuple[Any, ...]:
    return *pull_back(*cotangents), None, None  # no gradient by the mask and the episodes


def _forward_plain(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    own, first, products, mask, episodes = rest
    added, apart = _summands(equations, bias, products)
    scan = partial(_scan, equations, weights, mask, episodes)
    (last, hs), pullback = jax.vjp(scan, apart, own, first, added)
    before = jnp.concatenate([equations.hidden(first)[None], hs[:-1]])
    if episodes is not None:
        before = jnp.where(episodes[0][:, None], equations.hidden(episodes[1])[None], before)
    return (last, hs), Partial(_pull_back_plain, pullback, before)


def _pull_back_plain(
    pullback: Any, before: jax.Array, d_last: State, d_hs: jax.Array
) -> tuple[Any, ...]:
    """The gradients by W, b, own, first state and x U, from the scan's own by its operands."""
    d_apart, d_own, d_first, d_added = pullback((d_last, d_hs))
    d_weights, d_sum = by_weights(before, d_added)
    d_bias, d_products = d_apart or (d_sum, d_added)
    return d_weights, d_bias, d_own, d_first, d_products


def _forward_in_rows(
    equations: Equations, weights: jax.Array, bias: jax.Array, *rest: Any
) -> tuple[Any, Partial]:
    """The forward scan of cells with ``pull_back``: only the states and the activations are kept,
    and h W if the cell does not add up."""
    own, first, products, mask, episodes = rest
    begin, begun = episodes or (None, None)
    size, unravel = _of_one(equations, first)
    starts: tuple[int, ...] = ()

    @equations.each
    def step(state: State, at: Any) -> tuple[State, jax.Array]:
        nonlocal starts
        x_product, counts, begins = at
        state = before_step(begins, begun, state)
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
            row = accelerators.in_one_operation(row)
            state = unravel(row[:size])
        return state, row

    # In one array: each array that a scan writes takes XLA's CPU back end as long as one gate.
    if equations.adds_up and not equations.together:
        products = add_bias(products, bias)
    over = (products, mask, begin)
    last, rows = accelerators.scan(step, first, over, equations.steps_at_once)
    hs = jax.vmap(equations.each(lambda row: equations.hidden(unravel(row[:size]))))(rows)
    pull_back = partial(_pull_back_in_rows, equations, starts)
    return (last, hs), Partial(pull_back, weights, own, first, rows, mask, episodes)


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
    episodes: Episodes,
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
    if episodes is not None:
        before = jnp.where(episodes[0][:, None], ravel_pytree(episodes[1])[0][None], before)
    hidden_size, width = weights.shape
    starts = starts if equations.adds_up else starts[:-1]  # of the activations
    # As in products.py, a product of transposed matrices takes long.
    transposed = barrier(weights.T) if together else None

    def updated(own: Any, state: State, gates: jax.Array) -> tuple[State, jax.Array]:
        state = update(own, state, *jnp.split(gates, len(starts)))
        return state, hidden(state)

    @equations.each
    def step(d_state: State, at: Any) -> tuple[Any, tuple[jax.Array, ...]]:
        before, row, d_h, counts, begins = at
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
            d_sums, d_state = accelerators.in_one_operation((d_sums, d_state))
        else:
            d_sums = barrier(d_sums)  # between barriers XLA computes it once for its two uses
        _, pull_hidden = jax.vjp(hidden, state)
        d_sum = d_sums[-1]
        (d_recurrent,) = pull_hidden(d_sum @ transposed if together else weights @ d_sum)
        d_state = jax.tree.map(jnp.add, d_state, d_recurrent)
        if counts is not None:
            d_state = jax.tree.map(jnp.add, d_state, passed_on)
        # The state before an episode is a constant.
        d_state = before_step(begins, jax.tree.map(jnp.zeros_like, d_state), d_state)
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
    over = (before, rows, d_hs, mask, None if episodes is None else episodes[0])
    ((d_own, *d_bias), d_first), d_sums = accelerators.scan(
        one, start, over, steps_at_once, reverse=True
    )
    hs_before = jax.vmap(equations.each(lambda row: hidden(unravel(row))))(before)
    d_weights, *by_product = by_weights(hs_before, d_sums[-1])
    return d_weights, *(d_bias or by_product), d_own, d_first, d_sums[0]


gated_scan.defvjp(_scan_forward, _scan_backward)
